"use strict";
// Shows a stream as it runs: the last items, and how it has ended.
(() => {
	const most = 200; // items that are shown
	const before = '{"item":'; // an item's line has this before it, and a brace after
	const byId = (id) => document.getElementById(id);
	const [section, params, open, stop, state, items] = ["stream", "params", "open", "stop", "state", "items"].map(byId);
	let running = null, count = 0, shown = [];

	const say = (text, bad) => {
		state.textContent = text;
		state.className = bad ? "bad" : "quiet";
	};
	const show = (item) => {
		shown.push(item);
		shown = shown.slice(-most);
		items.textContent = shown.join("\n");
		items.scrollTop = items.scrollHeight;
		say(`open, ${++count} received`);
	};
	const ended = (end) => say(`${end.code}${end.message ? ": " + end.message : ""}, ${count} received`, end.code !== "ok");

	const receive = async (signal) => {
		const answer = await fetch(section.dataset.link, {
			method: "POST", body: params.value, signal, cache: "no-store",
			headers: { "Content-Type": "application/json", "Accept": "application/x-ndjson" },
		});
		if (!answer.ok) {
			ended(await answer.json());
			return;
		}
		say("open");
		const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
		for (let rest = "", end = null; ;) {
			const { value, done } = await reader.read();
			if (done) {
				ended(end ?? { code: "unavailable", message: "the connection was lost" });
				return;
			}
			const lines = (rest + value).split("\n");
			rest = lines.pop();
			for (const padded of lines) {
				const line = padded.trimStart(); // a silent stream has spaces
				if (line.startsWith(before)) {
					show(line.slice(before.length, -1)); // as it is: a number may be too large for JavaScript
				} else {
					end = JSON.parse(line).end;
				}
			}
		}
	};

	open.addEventListener("click", async () => {
		running = new AbortController();
		[count, shown, items.textContent] = [0, [], ""];
		[open.disabled, stop.disabled] = [true, false];
		say("opening");
		try {
			await receive(running.signal);
		} catch (err) {
			say(running.signal.aborted ? `stopped, ${count} received` : `${err}, ${count} received`, !running.signal.aborted);
		}
		[open.disabled, stop.disabled] = [false, true];
	});
	stop.addEventListener("click", () => running.abort());
})();
