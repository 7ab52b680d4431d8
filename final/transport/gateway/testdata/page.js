"use strict";
// Presses the buttons of a stream's page, and reports what it shows.
(async () => {
	const byId = (id) => document.getElementById(id);
	const until = (done) => new Promise((resolve) => {
		const look = () => done() ? resolve() : requestAnimationFrame(look);
		look();
	});
	const shown = () => ({ State: byId("state").textContent, Items: byId("items").textContent });
	const run = async (params, until_) => {
		byId("params").value = params;
		byId("open").click();
		await until(until_);
		return shown();
	};
	const ended = () => !byId("open").disabled;
	const report = {
		Sample: byId("params").value,
		Whole: await run('{"Count":300}', ended),
		Failing: await run('{"Count":1,"Fails":"aborted"}', ended),
		Refused: await run('{"Fails":"permission_denied"}', ended),
		Running: await run('{"Count":2,"Then":"wait"}', () => byId("state").textContent === "open, 2 received"),
	};
	byId("stop").click();
	await until(ended);
	report.Stopped = shown();
	await fetch("/report", { method: "POST", body: JSON.stringify(report) });
})();
