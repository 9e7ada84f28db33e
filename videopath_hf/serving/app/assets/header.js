// Light and dark: as the system has it, until somebody chooses. `element` is Gradio's.
const remembered = () => {
  try {
    return localStorage.getItem("videopath-theme");
  } catch {
    return null; // a page inside another site's may not keep anything
  }
};
const dress = (theme) => document.body.classList.toggle("dark", theme === "dark");
if (remembered()) dress(remembered());
element.querySelector(".vp-theme").onclick = () => {
  const theme = document.body.classList.contains("dark") ? "light" : "dark";
  dress(theme);
  try {
    localStorage.setItem("videopath-theme", theme);
  } catch {
    // as above
  }
};
