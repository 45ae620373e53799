// What an operation costs, counted where the platform counts it: at the bindings, in the objects' storage, in WebCrypto
// and in the WASM. Knows nothing of src/kit/meter.ts, which it is there to check.
import { runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { vi } from "vitest";
import type { Overrides } from "../support.ts";

export interface Costs {
  /** Calls that the answer waits for. */
  objects: number;
  d1: number;
  sign: number;
  verify: number;
  hash: number;
  /** Calls that nobody waits for: refunds of guesses, the audit trail, the figures of the transition. */
  laterObjects: number;
  laterD1: number;
  /** Rows, whoever waits for them. */
  objectRowsRead: number;
  objectRowsWritten: number;
  alarms: number;
  d1RowsRead: number;
  d1RowsWritten: number;
}

const LATER_CALLS: ReadonlySet<string> = new Set(["succeeded", "withdrawn"]);
const LATER_SQL = /audit_events VALUES|transition_figures|SET last_seen_at/;
const RSA_NAME = "RSASSA-PKCS1-v1_5";

type Call = (...parameters: unknown[]) => unknown;
type Cursor = Pick<SqlStorageCursor<Record<string, SqlStorageValue>>, "rowsRead" | "rowsWritten">;

const empty = (): Costs => ({
  objects: 0,
  d1: 0,
  sign: 0,
  verify: 0,
  hash: 0,
  laterObjects: 0,
  laterD1: 0,
  objectRowsRead: 0,
  objectRowsWritten: 0,
  alarms: 0,
  d1RowsRead: 0,
  d1RowsWritten: 0,
});

/** `target` with the calls of its methods handed to `around`, under their names. */
function wrapped<T extends object>(target: T, around: (name: string, call: Call) => Call): T {
  return new Proxy(target, {
    get(object, property) {
      const value: unknown = Reflect.get(object, property, object);
      if (typeof value !== "function" || typeof property !== "string") return value;
      return around(property, (...parameters) => Reflect.apply(value, object, parameters) as unknown);
    },
  });
}

export class Ledger {
  #costs = empty();
  #cursors: Cursor[] = [];
  /** Proxies of statements to what they stand for. */
  readonly #statements = new WeakMap<object, { readonly statement: D1PreparedStatement; readonly sql: string }>();

  /** Bindings that count. */
  readonly overrides: Overrides = {
    DB: this.#database(env.DB),
    USER_SESSIONS: this.#namespace(env.USER_SESSIONS),
    COUNTERS: this.#namespace(env.COUNTERS),
  };

  /** Begins to count what needs spies: storage, WebCrypto, WASM. Undone by `vi.restoreAllMocks`. */
  async watch(): Promise<void> {
    this.#watchCrypto();
    this.#watchHashes();
    await runInDurableObject(env.COUNTERS.getByName("costs"), (_, { storage }) => this.#watchStorage(storage));
  }

  /** What `work` cost, with all that it left to be done after the answer. */
  async of(work: () => Promise<unknown>): Promise<Costs> {
    this.#costs = empty();
    this.#cursors = [];
    await work();
    await this.#settled();
    const sum = (field: keyof Cursor) => this.#cursors.reduce((total, cursor) => total + cursor[field], 0);
    this.#costs.objectRowsRead += sum("rowsRead");
    this.#costs.objectRowsWritten += sum("rowsWritten");
    return this.#costs;
  }

  /** Waits until nothing more is counted; what follows an answer follows it within milliseconds. */
  async #settled(): Promise<void> {
    for (let before = ""; before !== JSON.stringify(this.#costs);) {
      before = JSON.stringify(this.#costs);
      await scheduler.wait(250);
    }
  }

  #namespace<T extends Rpc.DurableObjectBranded>(namespace: DurableObjectNamespace<T>): DurableObjectNamespace<T> {
    const stub = (name: string, call: Call): Call => {
      return (...parameters) => {
        this.#costs[LATER_CALLS.has(name) ? "laterObjects" : "objects"] += 1;
        return call(...parameters);
      };
    };
    return wrapped(namespace, (name, call) => {
      if (name !== "getByName") return call;
      return (...parameters) => wrapped(call(...parameters) as DurableObjectStub<T>, stub);
    });
  }

  #database<T extends D1Database | D1DatabaseSession>(database: T): T {
    return wrapped(database, (name, call) => (...parameters) => {
      if (name === "prepare") return this.#statement(call(...parameters) as D1PreparedStatement, String(parameters[0]));
      if (name === "withSession") return this.#database(call(...parameters) as D1DatabaseSession);
      if (name === "batch") return this.#batch(call, parameters[0] as D1PreparedStatement[]);
      return call(...parameters);
    });
  }

  #statement(statement: D1PreparedStatement, sql: string): D1PreparedStatement {
    const proxy = wrapped(statement, (name, call) => async (...parameters) => {
      this.#countD1(sql);
      if (name !== "first") return this.#countRows((await call(...parameters)) as D1Result);
      // `first` says nothing of what it read; `all` asks the same of the database.
      const all = this.#countRows(await statement.all());
      return all.results[0] ?? null;
    });
    // Binding is no call of the database.
    const bindable = new Proxy(proxy, {
      get: (object, property) =>
        property === "bind"
          ? (...values: unknown[]) => this.#statement(statement.bind(...values), sql)
          : (Reflect.get(object, property) as unknown),
    });
    this.#statements.set(bindable, { statement, sql });
    return bindable;
  }

  async #batch(call: Call, proxies: readonly D1PreparedStatement[]): Promise<D1Result[]> {
    const known = proxies.map((proxy) => this.#statements.get(proxy));
    this.#countD1(known[0]?.sql ?? "");
    const results = (await call(known.map((entry) => entry?.statement))) as D1Result[];
    for (const result of results) this.#countRows(result);
    return results;
  }

  #countD1(sql: string): void {
    this.#costs[LATER_SQL.test(sql) ? "laterD1" : "d1"] += 1;
  }

  #countRows<T extends D1Result>(result: T): T {
    this.#costs.d1RowsRead += result.meta.rows_read;
    this.#costs.d1RowsWritten += result.meta.rows_written;
    return result;
  }

  #watchCrypto(): void {
    const { subtle } = crypto;
    for (const method of ["sign", "verify"] as const) {
      const original = subtle[method].bind(subtle) as (...parameters: unknown[]) => Promise<never>;
      vi.spyOn(subtle, method).mockImplementation((...parameters: unknown[]) => {
        if (parameters[0] === RSA_NAME) this.#costs[method] += 1;
        return original(...parameters);
      });
    }
  }

  /** Argon2 runs inside the WASM: its functions are counted where an instance hands them out. */
  #watchHashes(): void {
    const { Instance } = WebAssembly;
    const counted = (name: string, call: Call): Call => {
      return (...parameters) => {
        if (name === "argon2_verify" || name === "argon2_hash") this.#costs.hash += 1;
        return call(...parameters);
      };
    };
    vi.spyOn(WebAssembly, "Instance").mockImplementation(function instance(module: WebAssembly.Module) {
      const exports = Object.entries(new Instance(module).exports).map(([name, value]) => [
        name,
        typeof value === "function" ? counted(name, value as Call) : value,
      ]);
      return { exports: Object.fromEntries(exports) as WebAssembly.Exports };
    });
  }

  /** The objects live in the isolate of the tests, so what all storages inherit can be watched at one of them. */
  #watchStorage(storage: DurableObjectStorage): void {
    const costs = () => this.#costs;
    const cursors = () => this.#cursors;
    const spy = (target: object, method: string, note: (result: unknown) => void): void => {
      const prototype = Object.getPrototypeOf(target) as Record<string, Call>;
      const original = prototype[method];
      if (original === undefined) throw new Error(`storage has no ${method}`);
      vi.spyOn(prototype, method).mockImplementation(function watched(this: unknown, ...parameters: unknown[]) {
        const result = Reflect.apply(original, this, parameters);
        note(result);
        return result;
      });
    };
    spy(storage.sql, "exec", (cursor) => cursors().push(cursor as Cursor));
    spy(storage.kv, "get", () => (costs().objectRowsRead += 1));
    spy(storage.kv, "put", () => (costs().objectRowsWritten += 1));
    spy(storage, "put", () => (costs().objectRowsWritten += 1));
    // Setting an alarm is billed as a row written (Cloudflare, Durable Objects pricing).
    spy(storage, "setAlarm", () => {
      costs().objectRowsWritten += 1;
      costs().alarms += 1;
    });
  }
}
