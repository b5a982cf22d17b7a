// Bundles the console: `node build.mjs [--outdir DIR]` writes index.html, icon.svg, sw.js, app.js and
// app.css, each with a .gz beside it. Everything the page needs is in these files: nothing is fetched from
// anywhere else, and the page holds under `default-src 'self'`.
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const here = dirname(fileURLToPath(import.meta.url));
const at = process.argv.indexOf('--outdir');
if (at >= 0 && !process.argv[at + 1]) fail('--outdir needs a directory');
const outdir = resolve(at >= 0 ? process.argv[at + 1] : join(here, 'dist'));

let esbuild;
try {
  esbuild = await import('esbuild');
} catch {
  fail('esbuild is not installed: run `npm ci` in center/console first');
}

await mkdir(outdir, { recursive: true });
const result = await esbuild.build({
  absWorkingDir: here,
  entryPoints: { app: 'src/main.tsx', sw: 'src/sw.ts' },
  bundle: true,
  minify: true,
  sourcemap: false,
  legalComments: 'none',
  format: 'esm',
  target: ['es2022'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  outdir,
  write: false,
  logLevel: 'error',
}).catch(() => process.exit(1));

const files = new Map(result.outputFiles.map((f) => [f.path, Buffer.from(f.contents)]));
for (const name of ['index.html', 'icon.svg']) files.set(join(outdir, name), await readFile(join(here, 'src', name)));
for (const [path, bytes] of files) {
  await writeFile(path, bytes);
  // No time stamp in the gzip header: the same sources give the same bytes.
  await writeFile(`${path}.gz`, gzipSync(bytes, { level: 9 }));
}

function fail(why) {
  console.error(`console: ${why}`);
  process.exit(2);
}
