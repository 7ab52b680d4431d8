// Draws the mermaid blocks of the course that have no drawing yet, and names those
// that no block uses any more. Run it where beautiful-mermaid is installed:
//
//	npm install beautiful-mermaid@1.1.3
//	node draw.mjs ROOT        the root of the clone
import { renderMermaidSVG } from 'beautiful-mermaid';
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = process.argv[2];
const folder = join(root, 'final/workshop/book/diagrams');
const pages = execFileSync('git', ['-C', root, 'ls-files', '*.md'], { encoding: 'utf8' }).trim().split('\n');
const used = new Set();

// tidy takes out what the book's style sheet says, and makes the ids fit to be
// renamed: a page can have several drawings.
function tidy(svg) {
  return svg
    .replace(/<style>[\s\S]*?<\/style>\n?/, '')
    .replace(/ style="--bg[^"]*"/, '')
    .replace(/\d+\.\d{3,}/g, (n) => String(Math.round(n * 10) / 10))
    .replace(/ data-[\w-]+="[^"]*"/g, '')
    .replace(/id="/g, 'id="diagram-id-')
    .replace(/url\(#/g, 'url(#diagram-id-')
    .replace(/^<svg /, '<svg aria-hidden="true" ');
}

for (const page of pages) {
  const text = readFileSync(join(root, page), 'utf8');
  for (const [, source] of text.matchAll(/^```mermaid\n([\s\S]*?)^```$/gm)) {
    const name = createHash('sha256').update(source).digest('hex').slice(0, 16) + '.svg';
    used.add(name);
    if (existsSync(join(folder, name))) continue;
    writeFileSync(join(folder, name), tidy(renderMermaidSVG(source, {})) + '\n');
    console.log('drawn:', name, 'for', page);
  }
}
for (const name of readdirSync(folder)) {
  if (name.endsWith('.svg') && !used.has(name)) console.log('not used:', name);
}
