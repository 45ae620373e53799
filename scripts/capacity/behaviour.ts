// What is assumed of users and of the machine: every figure that bills depend on and that Postern cannot know. Each is a
// flag of `npm run capacity`, under its name.

export const DEFAULTS = {
  /** Of all users, how many are active on a day. */
  dailyShare: 0.2,
  /** Authorised requests of a user on a day they are active. */
  requestsPerDay: 50,
  /** Of these, how many one lease serves: those of one session, at one isolate, within REVOCATION_LEASE_SECONDS. */
  requestsPerLease: 3,
  /** Stretches of use, each with a first lease; that of the leases after it is not written down again. */
  visitsPerDay: 4,
  refreshesPerDay: 3,
  /** Per user and month. */
  loginsPerMonth: 1,
  failedPerLogin: 0.1,
  logoutsPerLogin: 0.2,
  ipv6Share: 0.5,
  /** How many users have an object, that is a session not yet forgotten. */
  sessionShare: 0.5,
  /** AUDIT_DAYS as it is by default. */
  auditDays: 400,
  /** 1 as LOG_REQUESTS=all, 0 as off. */
  logShare: 1,
  /** Milliseconds for which a call keeps an object billed. Ours can hibernate as soon as they have answered. */
  objectMs: 5,
  /** Milliseconds of CPU, assumed: a request's own JavaScript, an RSA-2048 signature, its verification, an Argon2id hash. */
  requestCpuMs: 1,
  signCpuMs: 1,
  verifyCpuMs: 0.1,
  hashCpuMs: 30,
};

export type Behaviour = Readonly<typeof DEFAULTS>;
