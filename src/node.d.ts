// What is used of Node's modules in the runtime. Its full types stay out of src/: they bring globals a Worker does not have.
declare module "node:crypto" {
  export function scrypt(
    password: Uint8Array,
    salt: Uint8Array,
    keyBytes: number,
    parameters: { readonly N: number; readonly r: number; readonly p: number; readonly maxmem: number },
    callback: (error: Error | null, key: Uint8Array) => void,
  ): void;
}

declare module "node:async_hooks" {
  export class AsyncLocalStorage<T> {
    run<R, A extends readonly unknown[]>(store: T, work: (...parameters: A) => R, ...parameters: A): R;
    getStore(): T | undefined;
  }
}
