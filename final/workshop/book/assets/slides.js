// A deck of slides: one slide at a time, by keys and buttons, with the speaker's notes
// below it or in a window of their own. Without this script, the slides are a page.
(function () {
  "use strict";
  var root = document.documentElement, body = document.body, main = document.getElementById("book-text");
  var slides = Array.prototype.slice.call(document.querySelectorAll(".slide"));
  var speaks = location.hash.indexOf("#notes-") === 0; // this is the window with the notes
  var at = 0, other = null, deck = false, began = Date.now();

  function make(tag, props, text) {
    var e = document.createElement(tag);
    for (var name in props) e.setAttribute(name, props[name]);
    if (text) e.textContent = text;
    return e;
  }
  function button(text, key, act) {
    var b = make("button", { type: "button" }, text);
    if (key) b.setAttribute("aria-keyshortcuts", key);
    b.addEventListener("click", act);
    return b;
  }

  var back = button("Previous", "ArrowLeft", function () { go(at - 1); });
  var on = button("Next", "ArrowRight", function () { go(at + 1); });
  var place = make("span", { class: "place", role: "status" });
  var notes = button("Notes", "n", toggleNotes);
  var apart = button("Notes apart", "s", openNotes);
  var page = button("Page", "Escape", function () { present(false); });
  var clock = make("span", { class: "clock" });
  var bar = make("nav", { class: "deckbar", "aria-label": "Slides" });
  [back, place, on, notes, apart, page].forEach(function (e) { bar.appendChild(e); });
  var start = make("p", { class: "where start" });
  start.appendChild(button("Show as slides", "p", function () { present(true); }));
  start.appendChild(document.createTextNode(" Arrow keys turn slides, n shows the notes, s opens them in a window of their own, f fills the screen, and Escape leads back to this page."));
  main.insertBefore(start, slides[0]);
  body.appendChild(bar);

  function show() {
    slides.forEach(function (s, i) {
      s.classList.toggle("now", i === at);
      s.classList.toggle("next", i === at + 1);
    });
    place.textContent = at + 1 + " of " + slides.length;
    back.disabled = at === 0;
    on.disabled = at === slides.length - 1;
    scrollTo(0, 0);
  }
  function go(to, quiet) {
    if (to < 0 || to >= slides.length) return;
    at = to;
    show();
    if (speaks) return tell(quiet);
    try { history.replaceState(null, "", "#slide-" + (at + 1)); } catch (e) {} // some browsers refuse it for files
    tell(quiet);
  }
  function tell(quiet) { if (other && !other.closed && !quiet) other.postMessage({ slide: at }, "*"); }
  addEventListener("message", function (e) { // from the other window alone: pages of files have no origin to compare
    if (!other || e.source !== other || !e.data) return;
    if (e.data.hello) tell();
    else if (typeof e.data.slide === "number") go(e.data.slide, true);
  });

  function present(yes) {
    var before = deck;
    deck = yes;
    root.classList.toggle("deck", yes);
    if (yes) show();
    else if (before) slides[at].scrollIntoView();
  }
  function toggleNotes() {
    var open = !slides[at].querySelector(".notes").open;
    document.querySelectorAll(".notes").forEach(function (d) { d.open = open; });
    notes.setAttribute("aria-pressed", String(open));
  }
  function openNotes() {
    if (!speaks) other = open(location.pathname + location.search + "#notes-" + (at + 1), "book-notes", "width=900,height=800");
  }
  function tick() {
    var s = Math.floor((Date.now() - began) / 1000);
    clock.textContent = Math.floor(s / 60) + ":" + ("0" + s % 60).slice(-2);
  }

  // A slide that is longer than the screen is read before the next.
  function atEnd() {
    var last = Array.prototype.filter.call(slides[at].children, function (e) { return e.getClientRects().length; }).pop();
    return scrollY + innerHeight >= root.scrollHeight - 4 || last.getBoundingClientRect().bottom <= bar.getBoundingClientRect().top;
  }
  var steps = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 };
  addEventListener("keydown", function (e) {
    if (e.defaultPrevented || e.ctrlKey || e.metaKey || e.altKey || document.querySelector("dialog[open]") || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName)) return;
    if (!deck) {
      if (e.key === "p") present(true);
      return;
    }
    var presses = /^(BUTTON|SUMMARY|A)$/.test(e.target.tagName) && (e.key === " " || e.key === "Enter");
    if (presses) return;
    if (e.key === " ") {
      if (!e.shiftKey && !atEnd()) return; // the browser scrolls
      e.preventDefault();
      go(at + (e.shiftKey ? -1 : 1));
    } else if (steps[e.key]) { e.preventDefault(); go(at + steps[e.key]); }
    else if (e.key === "Home") { e.preventDefault(); go(0); }
    else if (e.key === "End") { e.preventDefault(); go(slides.length - 1); }
    else if (e.key === "n") toggleNotes();
    else if (e.key === "s") openNotes();
    else if (e.key === "f") { if (document.fullscreenElement) document.exitFullscreen(); else if (root.requestFullscreen) root.requestFullscreen(); }
    else if (e.key === "Escape") present(false);
  });

  var asked = /^#(?:slide|notes)-(\d+)$/.exec(location.hash);
  if (asked) at = Math.min(slides.length, Math.max(1, +asked[1])) - 1;
  if (speaks) {
    other = window.opener;
    root.classList.add("speaks");
    document.title = "Notes: " + document.title;
    document.querySelectorAll(".notes").forEach(function (d) { d.open = true; });
    apart.hidden = true;
    bar.appendChild(clock);
    tick();
    setInterval(tick, 1000);
  }
  addEventListener("hashchange", function () {
    var to = /^#slide-(\d+)$/.exec(location.hash);
    if (to && deck && +to[1] - 1 !== at) go(+to[1] - 1);
  });
  present(location.hash !== "#page");
  if (speaks && other) other.postMessage({ hello: true }, "*");
})();
