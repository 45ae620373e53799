// Baseline of a login: one Argon2id at Postern's setting, by the same WASM.
import wasm from "@phi-ag/argon2/argon2.wasm";
import { type Argon2, ARGON2ID, createArgon2 } from "../../src/accounts/argon2.ts";

const password = new TextEncoder().encode("correct horse battery staple");
const salt = new Uint8Array(16);
let argon2: Argon2 | undefined;

export default {
  fetch(): Response {
    argon2 ??= createArgon2(wasm);
    return Response.json({ hash: argon2.hash(password, salt, ARGON2ID) });
  },
};
