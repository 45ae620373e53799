/**
 * When to stop: on a signal, and when the process that started this one is gone. The latter because a shell between npm
 * and us dies of npm's SIGTERM without passing it on, and would leave the servers behind.
 */

const PARENT_CHECK_MS = 100;

/** Aborts when this process is to stop. */
export function stopSignal(): AbortSignal {
  const controller = new AbortController();
  const stop = (): void => controller.abort();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);

  const parent = process.ppid;
  const check = setInterval(() => {
    if (process.ppid !== parent) stop();
  }, PARENT_CHECK_MS);
  check.unref();
  return controller.signal;
}
