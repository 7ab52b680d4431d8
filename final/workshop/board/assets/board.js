// Keeps the page up to date, and counts down. Without it the page is loaded again now and then.
(function () {
  "use strict";
  var root = document.documentElement, every = 2000;

  // The theme: as the system has it, until the reader chooses. The book has the same switch.
  var dark = matchMedia("(prefers-color-scheme: dark)"), theme = document.createElement("button");
  function isDark() { return root.dataset.theme ? root.dataset.theme === "dark" : dark.matches; }
  function nameTheme() { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", isDark() ? "Light theme" : "Dark theme"); }
  theme.type = "button";
  theme.className = "theme";
  theme.addEventListener("click", function () {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("book-theme", root.dataset.theme); } catch (e) {}
    nameTheme();
  });
  dark.addEventListener("change", nameTheme);
  nameTheme();
  document.getElementById("board-tools").appendChild(theme);

  // The countdown: the board says how many seconds are left, and the page counts.
  var ends = null;
  function setClock(part) {
    ends = part.dataset.left === "" ? null : performance.now() + 1000 * part.dataset.left;
    tick();
  }
  function tick() {
    var part = document.querySelector("[data-part=clock]");
    part.hidden = ends === null;
    if (ends === null) return;
    var left = Math.max(0, Math.round((ends - performance.now()) / 1000)), text = "Time is over";
    if (left > 0) text = Math.floor(left / 60) + ":" + String(left % 60).padStart(2, "0");
    part.classList.toggle("soon", left <= 300);
    if (part.firstElementChild.textContent !== text) part.firstElementChild.textContent = text;
  }
  setClock(document.querySelector("[data-part=clock]"));
  setInterval(tick, 250);

  // The rest: a part whose text has changed takes the place of the old one. The keyboard
  // stays where it is.
  var seen = {}, status = document.getElementById("board-status");
  function show(text) {
    new DOMParser().parseFromString(text, "text/html").querySelectorAll("[data-part]").forEach(function (part) {
      var name = part.dataset.part, old = document.querySelector("[data-part=" + name + "]");
      if (name === "clock") { setClock(part); return; }
      if (seen[name] === part.innerHTML) return;
      seen[name] = part.innerHTML;
      var focus = old.contains(document.activeElement) ? document.activeElement.id : "";
      old.innerHTML = part.innerHTML;
      if (focus && document.getElementById(focus)) document.getElementById(focus).focus();
    });
  }
  document.querySelectorAll("[data-part]").forEach(function (part) { seen[part.dataset.part] = part.innerHTML; });
  function look() {
    fetch("now", { cache: "no-store" }).then(function (answer) {
      if (!answer.ok) throw new Error(answer.status);
      return answer.text();
    }).then(function (text) {
      show(text);
      status.textContent = "";
    }).catch(function () {
      if (!status.textContent) status.textContent = "No answer from the board since " + new Date().toLocaleTimeString() + ".";
    }).then(function () { setTimeout(look, every); });
  }
  setTimeout(look, every);
})();
