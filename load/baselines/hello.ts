// Baseline: what the runtime does in a second when the Worker does nothing.
export default { fetch: () => new Response("hello") };
