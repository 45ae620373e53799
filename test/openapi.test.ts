// Every operation of the OpenAPI document, asked without a credential and by an administrator: status, media type,
// headers and error code are documented ones. Bodies of successes are not compared with their schemas here.
import { expect, test } from "vitest";
import document from "../docs/api/openapi.json";
import { Edge, freshAddress, loggedIn, problemOf } from "./support.ts";

interface Answer {
  readonly headers: Readonly<Record<string, unknown>>;
  readonly content?: Readonly<Record<string, { readonly schema: { readonly allOf?: readonly unknown[] } }>>;
}

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, { responses }]) => ({
    name: `${method.toUpperCase()} ${path}`,
    method: method.toUpperCase(),
    path: path.replaceAll(/\{\w+\}/g, "01989f6e-1d9c-7cc2-9a37-5d1f7f6f4f10"),
    responses: responses as Readonly<Record<string, Answer>>,
  })),
);

/** What in `response` the document does not know. */
async function faultsOf(response: Response, responses: Readonly<Record<string, Answer>>): Promise<string[]> {
  const answer = responses[String(response.status)];
  if (answer === undefined) return [`status ${response.status}: ${await response.text()}`];
  const type = response.headers.get("Content-Type");
  const content = type === null ? undefined : answer.content?.[type];
  const faults: string[] = [];
  if (type !== null && content === undefined) faults.push(`media type ${type}`);
  for (const name of response.headers.keys()) {
    const isKnown = Object.keys(answer.headers).some((known) => known.toLowerCase() === name);
    if (!isKnown && !["content-type", "vary"].includes(name)) faults.push(`header ${name} of ${response.status}`);
  }
  if (response.status >= 400 && type?.startsWith("application/problem+json") === true) {
    const { code } = await problemOf(response);
    if (!JSON.stringify(content?.schema).includes(`"${code}"`)) faults.push(`code ${code} of ${response.status}`);
  }
  return faults;
}

test.each(operations)("$name answers as documented", async ({ method, path, responses }) => {
  const edge = new Edge({ SESSION_AUTH: "on" });
  const { tokens } = await loggedIn(edge, "admin");
  const address = freshAddress();
  const bare = await edge.fetch(path, { method, address });
  const asAdmin = await edge.fetch(path, { method, address, bearer: tokens.access_token });
  const withBody =
    method === "GET" ? asAdmin.clone() : await edge.fetch(path, { method, json: {}, bearer: tokens.access_token });
  const faults = [];
  for (const response of [bare, asAdmin, withBody]) faults.push(...(await faultsOf(response, responses)));
  expect(faults).toEqual([]);
});
