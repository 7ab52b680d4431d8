// What the pages do beyond HTML: the switch of the theme, copying, the search, the
// terms of the glossary. All pages can be read without it.
(function () {
  "use strict";
  var root = document.documentElement, body = document.body, base = body.dataset.root;

  function make(tag, props, text) {
    var e = document.createElement(tag);
    for (var name in props) e.setAttribute(name, props[name]);
    if (text) e.textContent = text;
    return e;
  }

  // The theme: as the system has it, until the reader chooses.
  var tools = document.getElementById("book-tools");
  var dark = matchMedia("(prefers-color-scheme: dark)");
  function isDark() { return root.dataset.theme ? root.dataset.theme === "dark" : dark.matches; }
  var theme = make("button", { type: "button", class: "theme" });
  function nameTheme() { theme.textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", isDark() ? "Light theme" : "Dark theme"); }
  theme.addEventListener("click", function () {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("book-theme", root.dataset.theme); } catch (e) {}
    nameTheme();
  });
  dark.addEventListener("change", nameTheme);
  nameTheme();

  // Copying: of a console, the commands; of commands, not what is said of them; of a diff,
  // the new text.
  function textToCopy(figure) {
    var code = figure.querySelector("code").cloneNode(true);
    code.querySelectorAll(".says").forEach(function (s) { s.remove(); });
    var text = code.textContent;
    var all = text.split("\n");
    if (figure.classList.contains("console") || /^\$ /.test(text)) {
      return all.filter(function (l) { return l.indexOf("$ ") === 0; }).map(function (l) { return l.slice(2); }).join("\n") || text;
    }
    if (figure.classList.contains("diff")) {
      return all.filter(function (l) { return !/^(-|@@|# |…)/.test(l); }).map(function (l) { return l.slice(1); }).join("\n");
    }
    return text;
  }
  function copy(text) {
    if (navigator.clipboard && window.isSecureContext) return navigator.clipboard.writeText(text);
    var area = make("textarea", { "aria-hidden": "true" });
    area.value = text;
    body.appendChild(area);
    area.select();
    var done = document.execCommand("copy");
    area.remove();
    return done ? Promise.resolve() : Promise.reject();
  }
  document.querySelectorAll("figure.code").forEach(function (figure) {
    var button = make("button", { type: "button", class: "copy" }, "Copy");
    button.addEventListener("click", function () {
      copy(textToCopy(figure)).then(function () { button.textContent = "Copied"; }, function () { button.textContent = "Not copied"; })
        .then(function () { setTimeout(function () { button.textContent = "Copy"; }, 2000); });
    });
    figure.appendChild(button);
  });

  // Where the screen is wide, the page's contents are open; where it is printed, all
  // folds are but the long ones.
  var wide = matchMedia("(min-width: 80rem)"), toc = document.querySelector(".toc details");
  if (toc && wide.matches) toc.open = true;
  var opened = [];
  addEventListener("beforeprint", function () {
    opened = Array.prototype.filter.call(document.querySelectorAll("main details:not(.change):not(.bytes)"), function (d) { return !d.open; });
    opened.forEach(function (d) { d.open = true; });
  });
  addEventListener("afterprint", function () { opened.forEach(function (d) { d.open = false; }); });

  // The number of a line is a link to it.
  document.querySelectorAll(".source").forEach(function (source) {
    source.addEventListener("click", function (e) { if (e.target.tagName === "I") location.hash = e.target.id; });
  });

  // A link into a fold opens it.
  function unfold() {
    var target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (var e = target; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
    if (target && target.closest("details")) target.scrollIntoView();
  }
  addEventListener("hashchange", unfold);
  unfold();

  // The contents show the page that is open.
  var current = document.querySelector(".contents [aria-current]");
  if (current) current.closest(".contents").scrollTop = current.offsetTop - 200;

  // On the page's own contents, the section that is being read.
  var marks = {};
  document.querySelectorAll(".toc a").forEach(function (a) { marks[decodeURIComponent(a.hash.slice(1))] = a; });
  if (window.IntersectionObserver && toc) {
    var seen = new IntersectionObserver(function (entries) {
      entries.forEach(function (e) {
        if (!e.isIntersecting) return;
        document.querySelectorAll(".toc .now").forEach(function (a) { a.classList.remove("now"); });
        if (marks[e.target.id]) marks[e.target.id].classList.add("now");
      });
    }, { rootMargin: "0px 0px -75% 0px" });
    document.querySelectorAll("main h2[id], main h3[id]").forEach(function (h) { seen.observe(h); });
  }

  // Terms: what the glossary says, on hover, focus and tap.
  var tip = make("div", { role: "tooltip", id: "book-tip", class: "tip", hidden: "" }), shown = null;
  body.appendChild(tip);
  function show(term) {
    hide();
    shown = term;
    tip.textContent = term.dataset.says;
    tip.hidden = false;
    term.setAttribute("aria-describedby", "book-tip");
    var at = term.getClientRects()[0], width = Math.min(340, root.clientWidth - 24);
    tip.style.maxWidth = width + "px";
    tip.style.left = Math.max(12, Math.min(at.left, root.clientWidth - width - 12)) + scrollX + "px";
    var below = at.bottom + 6 + tip.offsetHeight <= innerHeight || at.top < tip.offsetHeight + 6;
    tip.style.top = (below ? at.bottom + 6 : at.top - 6 - tip.offsetHeight) + scrollY + "px";
  }
  function hide() {
    if (shown) shown.removeAttribute("aria-describedby");
    shown = null;
    tip.hidden = true;
  }
  document.querySelectorAll("a.term").forEach(function (term) {
    var asks = false; // by touch, and not yet answered
    term.addEventListener("pointerdown", function (e) { asks = e.pointerType === "touch" && shown !== term; });
    term.addEventListener("pointerenter", function (e) { if (e.pointerType !== "touch") show(term); });
    term.addEventListener("pointerleave", function (e) { if (e.pointerType !== "touch") setTimeout(function () { if (!tip.matches(":hover") && shown === term) hide(); }, 150); });
    term.addEventListener("focus", function () { show(term); });
    term.addEventListener("blur", hide);
    term.addEventListener("click", function (e) { // the first tap explains, the second one follows
      if (asks) { e.preventDefault(); show(term); }
      asks = false;
    });
  });
  tip.addEventListener("pointerleave", hide);

  // The search. Its index is a script, which is loaded when the reader begins.
  var dialog = make("dialog", { class: "search", "aria-label": "Search" });
  var field = make("input", { type: "search", placeholder: "Search the course", "aria-label": "Search the course", autocomplete: "off", spellcheck: "false" });
  var status = make("p", { role: "status", class: "status" });
  var results = make("div", { class: "results" });
  var close = make("button", { type: "button" }, "Close");
  close.addEventListener("click", function () { dialog.close(); });
  var bar = make("div", { class: "bar" });
  bar.appendChild(field); bar.appendChild(close);
  dialog.appendChild(bar); dialog.appendChild(status); dialog.appendChild(results);
  body.appendChild(dialog);
  var index = null, loading = false;
  function load() {
    if (index || loading) return;
    loading = true;
    status.textContent = "Loading …";
    var script = make("script", { src: base + "assets/search-index.js" });
    script.onload = function () {
      index = window.bookIndex;
      index.sections.forEach(function (s) { s.heading = s[2].toLowerCase(); s.text = s[3].toLowerCase(); s.page = index.pages[s[0]][1].toLowerCase(); });
      search();
    };
    script.onerror = function () { loading = false; status.textContent = "The index is not there: assets/search-index.js"; };
    body.appendChild(script);
  }
  function open() { if (!dialog.open) dialog.showModal(); field.select(); load(); }

  // A word is found as it is anywhere, and its other forms at the beginnings of words:
  // cancelled finds cancel, and retry finds retries.
  function stem(w) {
    if (w.length < 4 || /\W/.test(w)) return w;
    var s = w.replace(/(ies|ied|y)$/, "").replace(/(ing|ed|es|s|e)$/, "").replace(/([bdglmnprt])\1$/, "$1");
    return s.length < 3 ? w : s;
  }
  function find(text, word) {
    var i = text.indexOf(word.as);
    if (i >= 0) return { at: i, length: word.as.length, begins: i === 0 || /\W/.test(text[i - 1]), exact: true };
    for (i = text.indexOf(word.stem); i >= 0; i = text.indexOf(word.stem, i + 1)) {
      if (i > 0 && /\w/.test(text[i - 1])) continue;
      var end = i + word.stem.length;
      while (end < text.length && /\w/.test(text[end])) end++;
      if (end - i <= word.stem.length + 4) return { at: i, length: end - i, begins: true, exact: false };
    }
    return null;
  }

  function occurs(word) { return index.sections.some(function (s) { return find(s.heading, word) || find(s.text, word) || find(s.page, word); }); }
  function word(w) { return { as: w, stem: stem(w) }; }
  // asWritten returns what is typed as the course writes it: readLine() is there without
  // parentheses, and checkpoint 05c is 5c.
  function asWritten(typed) {
    if (occurs(word(typed))) return word(typed);
    var bare = typed.replace(/^[^\p{L}\p{N}_]+|[^\p{L}\p{N}_]+$/gu, "").replace(/^0(\d[a-f])$/, "$1");
    return word(bare || typed);
  }

  // distance counts the letters to insert, to delete, to change or to swap with the next
  // one on the way from a to b.
  function distance(a, b) {
    var before = [], last = [], row = [], i, j;
    for (j = 0; j <= b.length; j++) last[j] = j;
    for (i = 1; i <= a.length; i++, before = last, last = row) {
      row = [i];
      for (j = 1; j <= b.length; j++) {
        row[j] = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
        if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) row[j] = Math.min(row[j], before[j - 2] + 1);
      }
    }
    return last[b.length];
  }
  // nearest returns the word of the course that differs least from what is typed, the most
  // frequent one among equals: one letter may be wrong, or two of a longer word.
  var known = null;
  function nearest(typed) {
    if (!known) {
      known = new Map();
      index.sections.forEach(function (s) { ((s[2] + " " + s[3]).match(/[A-Za-z]\w{3,}/g) || []).forEach(function (w) { known.set(w, (known.get(w) || 0) + 1); }); });
    }
    var best = "", least = (typed.length < 4 ? 0 : typed.length < 6 ? 1 : 2) + 1, most = 0;
    known.forEach(function (count, w) {
      if (Math.abs(w.length - typed.length) > least) return;
      var d = distance(typed, w.toLowerCase());
      if (d < least || d === least && best && count > most) { best = w; least = d; most = count; }
    });
    return best;
  }
  // offer proposes other words where nothing is found, if they find something.
  function offer(words) {
    var meant = words.map(function (w) { return occurs(w) ? w.as : nearest(w.as); });
    var phrase = meant.join(" ");
    if (meant.indexOf("") >= 0 || !all(meant.map(function (w) { return word(w.toLowerCase()); }), phrase).length) return;
    status.textContent = "Nothing found. Did you mean:";
    var b = make("button", { type: "button", class: "more meant" }, phrase);
    b.addEventListener("click", function () { field.value = phrase; field.focus(); search(); });
    results.appendChild(b);
  }
  // all returns the sections that answer, the best one first.
  function all(words, phrase) {
    var found = [];
    index.sections.forEach(function (s) { var n = rate(s, words, phrase); if (n) found.push([n, s]); });
    return found.sort(function (a, b) { return b[0] - a[0]; });
  }

  // rate says how well a section answers: every word has to be in it, and a word in a
  // heading counts more than one in the text.
  function rate(s, words, phrase) {
    var score = 0;
    for (var i = 0; i < words.length; i++) {
      var n = 0, h = find(s.heading, words[i]), t = find(s.text, words[i]);
      if (h) n += s.heading === words[i].as ? 60 : !h.exact ? 20 : h.begins ? 30 : 10;
      if (find(s.page, words[i])) n += 8;
      if (t) n += !t.exact ? 3 : t.begins ? 5 : 1;
      if (!n) return 0;
      score += n;
    }
    if (words.length > 1 && s.text.indexOf(phrase) >= 0) score += 20;
    return s.text ? score : score * 0.6; // declarations of the steps come last
  }
  // snippet cuts a piece out of a text around what is sought, between words.
  function snippet(s, words, phrase) {
    var at = s.text.indexOf(phrase);
    if (at < 0) words.forEach(function (w) { var f = find(s.text, w); if (f && (at < 0 || f.at < at)) at = f.at; });
    var text = s[3], from = Math.max(0, at - 50), to = Math.max(0, at) + 110;
    while (from > 0 && text[from - 1] !== " ") from--;
    while (to < text.length && text[to] !== " ") to++;
    return (from ? "… " : "") + text.slice(from, to) + (to < text.length ? " …" : "");
  }
  function marked(parent, text, words) {
    while (text) {
      var low = text.toLowerCase(), first = null;
      words.forEach(function (w) { var f = find(low, w); if (f && (!first || f.at < first.at)) first = f; });
      if (!first) break;
      parent.appendChild(document.createTextNode(text.slice(0, first.at)));
      parent.appendChild(make("mark", {}, text.slice(first.at, first.at + first.length)));
      text = text.slice(first.at + first.length);
    }
    parent.appendChild(document.createTextNode(text));
  }
  function result(s, words, phrase) {
    var page = index.pages[s[0]], item = make("li", {});
    var a = make("a", { href: base + page[0] + (s[1] ? "#" + s[1] : "") });
    var title = make("strong", {});
    marked(title, s[2] || page[1], words);
    a.appendChild(title);
    if (s[2] !== page[1]) a.appendChild(make("span", { class: "in" }, page[1]));
    var text = make("span", { class: "text" });
    marked(text, snippet(s, words, phrase), words);
    a.appendChild(text);
    a.addEventListener("click", function () { dialog.close(); });
    item.appendChild(a);
    return item;
  }
  // Results are in groups: the parts of the course. The group with the best one is the first.
  var most = 8;
  function showGroup(name, found, words, phrase) {
    var list = make("ul", {}), heading = make("h2", {}, name);
    function add(some) { some.forEach(function (s) { list.appendChild(result(s, words, phrase)); }); }
    add(found.slice(0, most));
    results.appendChild(heading);
    results.appendChild(list);
    if (found.length <= most) return;
    var more = make("button", { type: "button", class: "more" }, found.length - most + " more in " + name);
    more.addEventListener("click", function () {
      var next = list.children.length;
      add(found.slice(most));
      more.remove();
      list.children[next].querySelector("a").focus();
    });
    results.appendChild(more);
  }
  function search() {
    if (!index) return;
    results.textContent = "";
    var typed = field.value.toLowerCase().split(/\s+/).filter(Boolean), phrase = typed.join(" ");
    if (!typed.length) { status.textContent = "Pages, sections and declarations. Every word has to occur, in any of its forms."; return; }
    var words = typed.map(asWritten);
    var found = all(words, phrase);
    status.textContent = found.length === 0 ? "Nothing found." : found.length === 1 ? "1 place." : found.length + " places.";
    if (!found.length) offer(words);
    var names = [], groups = {};
    found.forEach(function (f) {
      var name = index.pages[f[1][0]][2];
      if (!groups[name]) { groups[name] = []; names.push(name); }
      groups[name].push(f[1]);
    });
    names.forEach(function (name) { showGroup(name, groups[name], words, phrase); });
  }
  field.addEventListener("input", search);
  dialog.addEventListener("keydown", function (e) {
    if (e.key !== "ArrowDown" && e.key !== "ArrowUp") return;
    var links = Array.prototype.slice.call(results.querySelectorAll("a")), at = links.indexOf(document.activeElement);
    e.preventDefault();
    if (e.key === "ArrowDown") (links[at + 1] || links[at] || field).focus(); else (at > 0 ? links[at - 1] : field).focus();
  });
  field.addEventListener("keydown", function (e) { if (e.key === "Enter") { var first = results.querySelector("a"); if (first) first.click(); } });
  dialog.addEventListener("click", function (e) { if (e.target === dialog) dialog.close(); });
  var button = make("button", { type: "button", class: "find", "aria-keyshortcuts": "/" }, "Search");
  button.addEventListener("click", open);
  tools.appendChild(button);
  tools.appendChild(theme);

  // Keys: / searches; the arrows turn pages.
  addEventListener("keydown", function (e) {
    if (e.defaultPrevented || dialog.open || e.ctrlKey || e.metaKey || e.altKey || e.shiftKey || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName)) return;
    if (e.key === "/") { e.preventDefault(); open(); }
    if (e.key === "Escape") { hide(); if (location.hash === "#book-contents") location.hash = "#book-menu"; }
    if (e.target.tagName === "PRE" || e.target.classList && e.target.classList.contains("table")) return; // they scroll
    var turn = e.key === "ArrowRight" ? "next" : e.key === "ArrowLeft" ? "prev" : "";
    var to = turn && document.querySelector('.turn a[rel="' + turn + '"]');
    if (to) to.click();
  });
})();
