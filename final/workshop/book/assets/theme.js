// The reader's choice of dark or light, before anything is painted.
(function () {
  var root = document.documentElement;
  root.classList.add("js");
  try {
    var theme = localStorage.getItem("book-theme");
    if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  } catch (e) {} // some browsers keep nothing for files
})();
