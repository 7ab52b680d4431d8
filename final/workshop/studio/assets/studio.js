// What the studio's pages do: they take the panels that the server sends whenever
// something has changed, and show the messages of the wire.
(function () {
  "use strict";
  var bar = document.getElementById("studio-bar"), live = document.getElementById("studio-live");
  if (!bar) return;

  // The token is in a cookie now; an address with it is easily sent to others.
  if (/[?&]token=/.test(location.search)) history.replaceState(null, "", location.pathname + location.hash);

  // A panel that is replaced keeps what the reader has opened or closed, and written, and where
  // the focus is. A fold that the server opens, or closes, does so once.
  var asSent = {};
  document.querySelectorAll("[data-panel] details[id]").forEach(function (d) { asSent[d.id] = d.open; });
  function put(id, html) {
    var panel = document.getElementById(id);
    if (!panel) return;
    var open = {}, seen = {}, texts = {};
    panel.querySelectorAll("details[id]").forEach(function (d) { seen[d.id] = true; open[d.id] = d.open; });
    panel.querySelectorAll("textarea[id]").forEach(function (t) { texts[t.id] = t.value; });
    var path = focusIn(panel);
    panel.innerHTML = html;
    panel.querySelectorAll("details[id]").forEach(function (d) {
      var sent = d.open;
      if (seen[d.id] && asSent[d.id] === sent) d.open = open[d.id];
      asSent[d.id] = sent;
    });
    panel.querySelectorAll("textarea[id]").forEach(function (t) { if (texts[t.id]) t.value = texts[t.id]; });
    if (path) focusOn(panel, path);
  }
  var focusable = "a[href], button, summary, textarea, input:not([type=hidden]), select, pre[tabindex]";
  function focusIn(panel) {
    var at = document.activeElement;
    if (!at || at === panel || !panel.contains(at)) return null;
    var within = at.closest("details[id]");
    var scope = within || panel, all = Array.from(scope.querySelectorAll(focusable));
    return { id: within && within.id, n: all.indexOf(at), start: at.selectionStart };
  }
  function focusOn(panel, path) {
    var scope = (path.id && document.getElementById(path.id)) || panel;
    var all = scope.querySelectorAll(focusable), to = all[Math.min(path.n, all.length - 1)];
    if (!to) return;
    to.focus({ preventScroll: true });
    if (path.start !== undefined && to.tagName === "TEXTAREA") to.setSelectionRange(path.start, path.start);
  }

  // Events come while the page is in sight: browsers allow few connections, and pages are many.
  var source = null, list = null;
  function listen() {
    if (source || document.hidden) return;
    var url = "/studio/events?page=" + encodeURIComponent(bar.dataset.page);
    if (list) url += "&wire=" + list.next;
    source = new EventSource(url);
    source.addEventListener("panels", function (e) {
      var panels = JSON.parse(e.data);
      Object.keys(panels).forEach(function (id) { put(id, panels[id]); });
      document.documentElement.dataset.studio = "live";
    });
    source.addEventListener("say", function (e) { live.textContent = JSON.parse(e.data); });
    source.addEventListener("clear", function (e) { if (list) list.forget(JSON.parse(e.data)); });
    source.addEventListener("wire", function (e) { if (list) list.add(JSON.parse(e.data)); });
    source.onerror = function () {
      document.documentElement.dataset.studio = "lost";
      if (list && source) { source.close(); source = null; setTimeout(listen, 1000); } // from where the list ends
    };
  }
  function mute() { if (source) source.close(); source = null; }
  document.addEventListener("visibilitychange", function () { if (document.hidden) mute(); else listen(); });
  addEventListener("pagehide", mute);
  addEventListener("pageshow", listen);

  // Forms are sent without leaving the page.
  document.addEventListener("submit", function (e) {
    var form = e.target;
    if (!form.closest("[data-panel]")) return;
    e.preventDefault();
    post(form.action, new URLSearchParams(new FormData(form)));
  });
  function post(to, body) {
    fetch(to, { method: "POST", body: body, headers: { "X-Studio": "1" } })
      .then(function (r) { return r.ok ? "" : r.text(); }, function () { return "The studio does not answer: has it ended?"; })
      .then(function (text) { if (text) live.textContent = text; });
  }

  // A link to a test or a panel opens what it is in. The key n goes to the next thing to do.
  function reveal() {
    var to = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!to) return;
    if (to.tagName === "DETAILS") to.open = true;
    if (to.closest("[data-panel]")) {
      to.scrollIntoView();
      var focus = to.querySelector("summary, a[href], button") || to;
      focus.focus({ preventScroll: true });
    }
  }
  addEventListener("hashchange", reveal);
  document.addEventListener("keydown", function (e) {
    if (e.key !== "n" || e.ctrlKey || e.metaKey || e.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName) || document.querySelector("dialog[open]")) return;
    var next = bar.querySelector(".todo a");
    if (!next) return;
    e.preventDefault();
    if (next.pathname === location.pathname && next.hash === location.hash) reveal(); else next.click();
  });

  // The messages of the wire: as many rows as fit are in the page, whatever their number.
  var box = document.getElementById("wire-list");
  if (box) list = (function () {
    var max = 10000, height = 28;
    var all = [], shown = [], chosen = -1, paused = false, missed = 0, call = "", drawn = false;
    var sizer = box.querySelector(".wiresizer");
    var count = document.getElementById("wire-count"), pause = document.getElementById("wire-pause"), detail = document.getElementById("wire-message");
    var me = { next: 0, add: add, forget: forget };

    function matches(m) { return !call || m.call === call; }
    function add(rows) {
      me.next = rows[rows.length - 1].n + 1;
      if (paused) { missed += rows.length; waiting = waiting.concat(rows).slice(-max); tell(); return; }
      var atEnd = box.scrollTop + box.clientHeight >= sizer.offsetHeight - height;
      all = all.concat(rows);
      if (all.length > max) all = all.slice(-max);
      filter();
      if (atEnd) box.scrollTop = sizer.offsetHeight;
    }
    var waiting = [];
    function filter() {
      shown = call ? all.filter(matches) : all;
      draw(true);
      tell();
    }
    function tell() {
      count.textContent = shown.length + (call ? " of " + all.length : "") + " messages" + (paused && missed ? ", " + missed + " since the pause" : "");
    }
    function text(tag, cls, value) { var e = document.createElement(tag); e.className = cls; e.textContent = value; return e; }
    function rowOf(m, i) {
      var row = document.createElement("div");
      row.id = "wire-" + m.n;
      row.className = "wirerow " + (m.from || "event") + (m.wrong ? " wrong" : "");
      row.setAttribute("role", "option");
      row.setAttribute("aria-posinset", i + 1);
      row.setAttribute("aria-setsize", shown.length);
      row.setAttribute("aria-selected", m.n === chosen ? "true" : "false");
      row.style.top = i * height + "px";
      row.dataset.n = m.n;
      row.appendChild(text("span", "at", "#" + m.conn + " " + m.at.toFixed(3)));
      row.appendChild(text("span", "from", m.from ? (m.from === "client" ? "client →" : "← server") : ""));
      row.appendChild(text("span", "size", m.from ? m.size : ""));
      row.appendChild(text("span", "meaning", m.meaning));
      return row;
    }
    function draw(all) {
      sizer.style.height = shown.length * height + "px";
      var from = Math.max(0, Math.floor(box.scrollTop / height) - 4), to = Math.min(shown.length, from + Math.ceil(box.clientHeight / height) + 8);
      var rows = document.createDocumentFragment();
      for (var i = from; i < to; i++) rows.appendChild(rowOf(shown[i], i));
      sizer.replaceChildren(rows);
      var at = document.getElementById("wire-" + chosen);
      if (at) box.setAttribute("aria-activedescendant", at.id); else box.removeAttribute("aria-activedescendant");
    }
    box.addEventListener("scroll", function () {
      if (drawn) return;
      drawn = true;
      requestAnimationFrame(function () { drawn = false; draw(); });
    });
    function choose(i) {
      if (i < 0 || i >= shown.length) return;
      chosen = shown[i].n;
      if (i * height < box.scrollTop) box.scrollTop = i * height;
      if ((i + 1) * height > box.scrollTop + box.clientHeight) box.scrollTop = (i + 1) * height - box.clientHeight;
      draw();
      var n = chosen;
      fetch("/studio/message?n=" + n).then(function (r) { return r.ok ? r.text() : Promise.reject(); })
        .then(function (html) { if (n === chosen) detail.innerHTML = html; }, function () { detail.textContent = "That message is not kept any more."; });
    }
    function index() { return shown.findIndex(function (m) { return m.n === chosen; }); }
    box.addEventListener("click", function (e) {
      var row = e.target.closest(".wirerow");
      if (row) choose(shown.findIndex(function (m) { return m.n === +row.dataset.n; }));
    });
    box.addEventListener("keydown", function (e) {
      var page = Math.max(1, Math.floor(box.clientHeight / height) - 1), at = index();
      var to = { ArrowDown: at + 1, ArrowUp: at < 0 ? shown.length - 1 : at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: shown.length - 1 }[e.key];
      if (to === undefined) return;
      e.preventDefault();
      e.stopPropagation();
      choose(Math.max(0, Math.min(shown.length - 1, to)));
    });
    pause.addEventListener("click", function () {
      paused = !paused;
      pause.setAttribute("aria-pressed", paused);
      pause.textContent = paused ? "Go on" : "Pause";
      if (!paused && waiting.length) { var rows = waiting; waiting = []; missed = 0; add(rows); }
      tell();
    });
    // Clear is for all pages: the studio forgets the messages, and tells each page.
    document.getElementById("wire-clear").addEventListener("click", function () { post("/studio/wire", new URLSearchParams({ do: "clear" })); });
    function forget(before) {
      function kept(m) { return m.n >= before; }
      all = all.filter(kept);
      waiting = waiting.filter(kept);
      missed = waiting.length;
      if (chosen >= 0 && chosen < before) { chosen = -1; detail.textContent = ""; }
      filter();
    }
    document.getElementById("wire-call").addEventListener("input", function (e) { call = e.target.value.trim(); filter(); });
    addEventListener("resize", function () { draw(); });
    tell();
    return me;
  })();

  listen();
  if (location.hash) setTimeout(reveal, 0);
})();
