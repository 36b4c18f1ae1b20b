// Before anything is drawn: the theme that was chosen here before. A plain script, so that no light page flashes in the dark.
(function () {
  try {
    const chosen = localStorage.getItem("theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // storage may be forbidden: the system's theme it is
  }
})();
