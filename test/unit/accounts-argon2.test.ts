// The binding to the Argon2 WASM: above all that every byte of a password counts, which its own JavaScript gets wrong.
import wasm from "@phi-ag/argon2/argon2.wasm";
import { describe, it } from "vitest";
import { ARGON2ID, ARGON2ID_PREFIX, createArgon2 } from "../../src/accounts/argon2.ts";
import { utf8 } from "../../src/kit/encoding.ts";

const argon2 = createArgon2(wasm);
const SALT = utf8("sixteen bytes ok");
const CHEAP = { memoryKib: 64, passes: 1, lanes: 1, tagBytes: 32 };

describe("argon2", () => {
  it("makes PHC strings with the parameters of today, which its verification accepts", ({ expect }) => {
    const phc = argon2.hash(utf8("correct horse"), SALT, ARGON2ID);
    expect(phc).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(phc.startsWith(ARGON2ID_PREFIX)).toBe(true);
    expect(argon2.verify(phc, utf8("correct horse"))).toBe(true);
    expect(argon2.verify(phc, utf8("correct horsf"))).toBe(false);
  });

  it.for(["пароль-для-входа", "密码密码密码密码密码", "🔐🔑🗝️🔒🔓", "ä", "a\0b", ""])(
    "hashes every byte of %j",
    (password, { expect }) => {
      const bytes = utf8(password);
      const phc = argon2.hash(bytes, SALT, CHEAP);
      expect(argon2.verify(phc, bytes)).toBe(true);
      expect(argon2.verify(phc, utf8(`${password}x`))).toBe(false);
      for (let i = 0; i < bytes.byteLength; i++) {
        const other = bytes.slice();
        other[i] = (other[i] ?? 0) ^ 1;
        expect(argon2.verify(phc, other), `byte ${i}`).toBe(false);
      }
    },
  );

  it("takes what is no PHC string for a wrong password", ({ expect }) => {
    for (const phc of ["", "$argon2id$", "$2b$12$abc", argon2.hash(utf8("a"), SALT, CHEAP).slice(0, 40)]) {
      expect(argon2.verify(phc, utf8("a")), phc).toBe(false);
    }
  });

  it("throws rather than calls a password wrong when it cannot do the work", ({ expect }) => {
    expect(() => argon2.hash(utf8("a"), SALT, { ...CHEAP, memoryKib: 4 * 1024 * 1024 - 1 })).toThrow("Argon2 failed");
    const phc = argon2.hash(utf8("a"), SALT, CHEAP).replace("m=64", "m=4194303");
    expect(() => argon2.verify(phc, utf8("a"))).toThrow("Argon2 failed");
    expect(() => argon2.hash(utf8("a"), utf8("short"), CHEAP)).toThrow("Argon2 failed");
    expect(() => argon2.hash(utf8("a"), SALT, { ...CHEAP, tagBytes: 2 ** 31 - 1 })).toThrow("no memory left");
  });
});
