// The OpenAPI document and the page of errors: current, whole, and of the endpoints that there are. Whether responses
// hold to it is not tested here.
import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { errorsPage, openapi } from "../../scripts/openapi/document.ts";
import { OPERATIONS } from "../../scripts/openapi/operations.ts";

interface Document {
  readonly paths: Readonly<
    Record<
      string,
      Readonly<Record<string, { readonly responses: Readonly<Record<string, { readonly description: string }>> }>>
    >
  >;
}

const text = openapi();

test("the committed document and page are what the script writes", () => {
  expect(readFileSync("docs/api/openapi.json", "utf8")).toBe(text);
  expect(readFileSync("docs/errors.md", "utf8")).toBe(errorsPage());
});

test("every endpoint that a door hangs by a literal path is in the document, with its methods", () => {
  const hung = readdirSync("src/doors").flatMap((file) =>
    [...readFileSync(`src/doors/${file}`, "utf8").matchAll(/endpoint\(app, "([^"]+)", (\{[\s\S]*?\})\);/g)].flatMap(
      ([, path = "", handlers = ""]) =>
        [...handlers.matchAll(/\b(GET|POST|PATCH|DELETE):/g)].map(
          ([, method = ""]) => `${method} ${path.replaceAll(/:(\w+)/g, "{$1}")}`,
        ),
    ),
  );
  const documented = OPERATIONS.map(({ method, path }) => `${method.toUpperCase()} ${path}`);
  expect(hung.length).toBeGreaterThan(20);
  // Its path is a constant of src/transition.
  expect(new Set([...hung, "GET /docs/migration"])).toEqual(new Set(documented));
});

test("operation ids are unique, references resolve, and every response is described", () => {
  const ids = OPERATIONS.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const document: unknown = JSON.parse(text);
  const resolved = (pointer: string): unknown =>
    pointer
      .split("/")
      .slice(1)
      .reduce<unknown>(
        (at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined),
        document,
      );
  const references = [...text.matchAll(/"\$ref": "([^"]+)"/g)].map(([, pointer = ""]) => pointer);
  expect(references.length).toBeGreaterThan(50);
  for (const pointer of references)
    expect({ pointer, found: resolved(pointer) !== undefined }).toEqual({ pointer, found: true });
  for (const methods of Object.values((document as Document).paths)) {
    for (const { responses } of Object.values(methods)) {
      for (const { description } of Object.values(responses)) expect(description).not.toBe("");
    }
  }
});
