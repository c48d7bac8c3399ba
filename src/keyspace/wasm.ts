/** WebAssembly modules with memory of their own. What is used of WebAssembly is said here: its types are among those of browsers only. */
declare const WebAssembly: {
  Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer };
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { readonly exports: unknown };
  validate(bytes: Uint8Array): boolean;
};

const PAGE_BYTES = 65_536;

/** A module's memory, which lives as long as somebody has this, and its functions. */
export interface WasmModule {
  readonly words: Uint32Array;
  readonly exports: unknown;
}

/** Makes the module `assembled` (base64) with `bytes` of memory, of which the system gives what is written to. */
export function loadWasm(assembled: string, bytes: number): WasmModule {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE_BYTES) });
  const compiled = new WebAssembly.Module(Buffer.from(assembled, "base64"));
  const { exports } = new WebAssembly.Instance(compiled, { memory: { memory } });
  return { words: new Uint32Array(memory.buffer), exports };
}

/** Whether this processor has what the module `assembled` (base64) needs. */
export function canRunWasm(assembled: string): boolean {
  return WebAssembly.validate(Buffer.from(assembled, "base64"));
}
