document.addEventListener("input", ({ target }) => {
  if (target.type === "range") target.parentElement.style.setProperty("--at", target.value + "%");
});
// What is known at the end of a run is written last, and read first.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelector("header").append(...document.getElementById("run").children);
});
