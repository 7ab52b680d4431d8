// What the pages of browser tests share: they open others in a frame, use them, and report
// what is wrong.
"use strict";
const report = { wrong: [], looked: 0 };
const query = new URLSearchParams(location.search);

function until(what, test) {
  return new Promise((resolve, reject) => {
    const begin = Date.now();
    (function look() {
      const found = test();
      if (found) resolve(found);
      else if (Date.now() - begin > 60000) reject(new Error("waited in vain: " + what));
      else setTimeout(look, 20);
    })();
  });
}

// open shows a page in the one frame, and resolves to its window.
function open(page, width) {
  document.querySelectorAll("iframe").forEach((f) => f.remove());
  const frame = document.createElement("iframe");
  frame.style.cssText = "border:0;height:900px;width:" + width + "px";
  return new Promise((resolve) => {
    frame.onload = () => resolve(frame.contentWindow);
    frame.src = page;
    document.body.appendChild(frame);
  });
}

// accessible looks whether axe, at the address of the query, finds something, and whether the
// page is too wide.
async function accessible(page, theme, width) {
  const win = await open(page, width);
  const doc = win.document, at = page + ", " + theme + ", " + width + ": ";
  win.onerror = (message) => { report.wrong.push(at + message); };
  doc.documentElement.dataset.theme = theme;
  if (doc.documentElement.scrollWidth > doc.documentElement.clientWidth) report.wrong.push(at + "it is too wide");
  doc.querySelectorAll("main details").forEach((d) => { d.open = true; });
  const script = doc.createElement("script");
  script.src = query.get("axe");
  doc.head.appendChild(script);
  await until("axe", () => win.axe);
  const result = await win.axe.run(doc, { resultTypes: ["violations"] });
  for (const v of result.violations) {
    report.wrong.push(at + v.id + ": " + v.nodes.map((n) => n.html.slice(0, 200)).slice(0, 3).join(" | "));
  }
  report.looked++;
}

// look runs what looks at pages, and sends the report to an address, also of another origin.
async function look(to, story) {
  try {
    await story();
  } catch (e) {
    report.wrong.push(String(e));
  }
  fetch(to, { method: "POST", mode: "no-cors", body: JSON.stringify(report) });
}
