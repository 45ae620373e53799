/**
 * Who can log in to a local Postern. Their passwords are public, and no deployment knows these people.
 */

export interface DemoUser {
  readonly id: string;
  readonly username: string;
  readonly password: string;
  readonly role: string;
}

/** Their ids are fixed UUIDv7s: every laptop has the same. */
export const DEMO_USERS: readonly DemoUser[] = [
  { id: "019a0000-0000-7000-8000-000000000001", username: "test", password: "test123", role: "user" },
  { id: "019a0000-0000-7000-8000-000000000002", username: "admin", password: "admin-local-only", role: "admin" },
];
