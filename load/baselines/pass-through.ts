// Baseline of an authorised request: hands every request to the origin as it is.
interface Env {
  readonly ORIGIN?: { fetch(request: Request): Promise<Response> };
  readonly ORIGIN_URL?: string;
}

export default {
  fetch(request: Request, { ORIGIN, ORIGIN_URL }: Env): Promise<Response> {
    if (ORIGIN !== undefined) return ORIGIN.fetch(request);
    const { pathname, search } = new URL(request.url);
    return fetch(new Request(`${ORIGIN_URL}${pathname}${search}`, request));
  },
};
