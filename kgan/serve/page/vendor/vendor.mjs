// Fetches LiteRT.js from npm and writes what the page needs of it, compressed, into the folder of this file:
//
//   node kgan/serve/page/vendor/vendor.mjs
//
// The files are npm's own, byte for byte, but for one line: the import of "@litertjs/wasm-utils" in litert.js names the
// file beside it, since neither a worker nor a page without inline scripts can say what a bare name means.
import {execFileSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {brotliCompressSync, constants} from 'node:zlib';

const VERSION = '2.5.3';
const PACKAGES = {  // as `npm view NAME@VERSION dist.integrity` says
  core: 'sha512-PlGmbMOq9WitX7FO0jhbdJw9GthatsyuCQXjTt/wJZo0FLaw48q4tz8IwqgqCIkviYGr9OFDL1kCnN4nzWoyJQ==',
  'wasm-utils': 'sha512-4fJiw6tBQnIs+0jH/OQ16nYOiSl8/+zZnn5h2ul8aTKHi05sVqZW580Tmk78pC2kT39A9OYBVdFawteZ/sI1kQ==',
};
const FILES = [  // package, file in it, name here
  ['core', 'dist/index.js', 'litert.js'],
  ['wasm-utils', 'dist/index.js', 'wasm-utils.js'],
  // "internal" needs relaxed SIMD, "threaded" shared memory too, "compat" neither: Safari before 26 has no relaxed SIMD.
  ...['internal', 'threaded_internal', 'compat_internal'].flatMap((build) =>
    ['js', 'wasm'].map((kind) => ['core', `wasm/litert_wasm_${build}.${kind}`, `litert_wasm_${build}.${kind}`])),
];

const folder = join(dirname(fileURLToPath(import.meta.url)), `litert-${VERSION}`);
const temporary = mkdtempSync(join(tmpdir(), 'litert-'));
const packages = {};
for (const [name, integrity] of Object.entries(PACKAGES)) {
  const archive = execFileSync('npm', ['pack', '--silent', `@litertjs/${name}@${VERSION}`], {cwd: temporary, encoding: 'utf8'}).trim();
  const sum = 'sha512-' + createHash('sha512').update(readFileSync(join(temporary, archive))).digest('base64');
  if (sum !== integrity) throw new Error(`${archive} is not the file that was checked: ${sum}`);
  packages[name] = mkdtempSync(join(temporary, 'package-'));
  execFileSync('tar', ['-xzf', join(temporary, archive), '-C', packages[name]]);
}

mkdirSync(folder, {recursive: true});
const sums = [];
for (const [name, file, target] of FILES) {
  let bytes = readFileSync(join(packages[name], 'package', file));
  if (target === 'litert.js') {
    const text = bytes.toString();
    bytes = Buffer.from(text.replace('"@litertjs/wasm-utils"', '"./wasm-utils.js"'));
    if (bytes.toString() === text) throw new Error('litert.js no longer imports @litertjs/wasm-utils');
  }
  sums.push(`${createHash('sha256').update(bytes).digest('hex')}  ${target}`);
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_LGWIN]: 24,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  writeFileSync(join(folder, `${target}.br`), brotliCompressSync(bytes, {params}));
}
writeFileSync(join(folder, 'SHA256SUMS'), sums.join('\n') + '\n');
rmSync(temporary, {recursive: true});
