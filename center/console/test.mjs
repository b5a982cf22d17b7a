// Bundles every src/**/*.test.ts and runs them under `node --test`.
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const tests = (await readdir(join(here, 'src'), { recursive: true })).filter((f) => f.endsWith('.test.ts'));
const out = await mkdtemp(join(tmpdir(), 'davy-console-'));
try {
  await build({
    absWorkingDir: here,
    entryPoints: tests.map((f) => join('src', f)),
    outdir: out,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    platform: 'node',
    format: 'esm',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    loader: { '.css': 'empty' },
    logLevel: 'error',
  });
  const files = (await readdir(out, { recursive: true })).filter((f) => f.endsWith('.test.mjs')).map((f) => join(out, f));
  const run = spawnSync(process.execPath, ['--test', ...files], { stdio: 'inherit', cwd: here });
  process.exitCode = run.status ?? 1;
} finally {
  await rm(out, { recursive: true, force: true });
}
