// Light and dark, and what the keyboard finds on the page. `element` is Gradio's.

// As the system has it, until somebody chooses.
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

// Gradio's lists take the Tab key for one that opens them, and stay open over what comes next; a list that scrolls is
// a stop of its own besides.
window.addEventListener("keydown", (event) => {
  if (event.key !== "Tab" || !event.target.matches("[role=combobox]")) return;
  event.stopPropagation();
  const list = document.getElementById(event.target.getAttribute("aria-controls"));
  if (list) list.tabIndex = -1;
}, true);
