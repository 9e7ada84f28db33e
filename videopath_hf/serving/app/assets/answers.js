// Buttons in answers and evidence; their text is written by the server. `element` and `trigger` are Gradio's.
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  const { turn, side, whole, seek } = button.dataset;
  if (turn !== undefined) {
    trigger("measure", { turn: Number(turn), side: Number(side), whole: Number(whole) });
    document.getElementById("vp-evidence")?.scrollIntoView({
      block: "nearest",
      behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth",
    });
  } else if (seek !== undefined) {
    window.dispatchEvent(new CustomEvent("videopath-seek", { detail: Number(seek) }));
  } else if (button.dataset.stop !== undefined) {
    trigger("stopped");
  }
});
element.addEventListener("input", (event) => {
  if (event.target.matches(".vp-fade")) element.style.setProperty("--vp-colours", event.target.value / 100);
});
