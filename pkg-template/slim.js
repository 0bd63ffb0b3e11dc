// The door without the wasm in it, for the smallest download: fetched and compiled as it streams
// in. The price is having to wait, once.
import { attach, isAttached } from './core.js';
import { fault } from './fault.js';

export { LoadBalancer } from './core.js';

let starting;

export function init(source) {
  starting ??= start(source).catch((error) => {
    starting = undefined;
    throw error;
  });
  return starting;
}

export function initSync(source) {
  if (isAttached()) return;
  begin(isModule(source) ? source : compileSync(bytesOf(source)));
}

async function start(source) {
  if (isAttached()) return;
  let given = await source;
  if (given === undefined) given = beside();
  if (typeof given === 'string' || given instanceof URL || isA(given, 'Request')) given = await load(given);
  begin(isModule(given) ? given : await (isA(given, 'Response') ? compileResponse(given) : compileBytes(given)));
}

function begin(module) {
  compile(() => attach(() => module));
}

// The wasm as it lies in the package. Bundlers know it by this very expression.
function beside() {
  if (!import.meta.url) throw fault('invalid-argument', 'where the wasm is must be given here: init(bytes, or its URL)');
  return new URL('./lb_bg.wasm', import.meta.url);
}

async function load(from) {
  const url = from.url ?? String(from);
  try {
    return await fetch(from);
  } catch (error) {
    const hint = url.startsWith('file:') ? '; files must be read by you, and their bytes be given to init or initSync' : '';
    throw fault('not-loaded', `${url} cannot be fetched: ${error?.message ?? error}${hint}`);
  }
}

async function compileResponse(response) {
  if (!response.ok) throw fault('not-loaded', `${response.url || 'the response'} came with status ${response.status}`);
  const isStreamed = WebAssembly.compileStreaming && /^application\/wasm\b/.test(response.headers.get('content-type') ?? '');
  if (!isStreamed) return compileBytes(await response.arrayBuffer());
  return compile(() => WebAssembly.compileStreaming(response));
}

function compileSync(bytes) {
  return compile(() => new WebAssembly.Module(bytes));
}

function compileBytes(source) {
  const bytes = bytesOf(source);
  return compile(() => WebAssembly.compile(bytes));
}

function bytesOf(source) {
  if (ArrayBuffer.isView(source) || isA(source, 'ArrayBuffer') || isA(source, 'SharedArrayBuffer')) return source;
  throw fault('invalid-argument', 'the wasm must be given as bytes, or as a WebAssembly.Module');
}

// Compiles or starts; what is no wasm of ours is said so, at once or later.
function compile(compiling) {
  const failed = (error) => {
    throw fault('not-loaded', `this is not the wasm of the package: ${error?.message ?? error}`);
  };
  try {
    const module = compiling();
    return module instanceof Promise ? module.catch(failed) : module;
  } catch (error) {
    return failed(error);
  }
}

const isModule = (value) => isA(value, 'WebAssembly.Module');

// What a value says it is, true also for one of another realm, where `instanceof` fails.
function isA(value, name) {
  return Object.prototype.toString.call(value) === `[object ${name}]`;
}
