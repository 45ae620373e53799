import { describe, it } from "vitest";
import { isCommonPassword } from "../../src/accounts/common-passwords.ts";
import { checkPassword, isPredictable } from "../../src/accounts/password-policy.ts";

const CONTEXT = { minLength: 15, username: "Alice.Smith@corp.example", issuerHost: "auth.acme-widgets.com" };
const SHORT = { ...CONTEXT, minLength: 8 };

const TOO_COMMON = "The password is one of the most common ones, which attackers try first.";
const PREDICTABLE = "The password is only a repetition, a sequence or a date.";
const OF_USERNAME = "The password is made from the username.";
const OF_SERVICE = "The password is made from the name of this service.";

describe("length", () => {
  it("is counted in code points after NFC", ({ expect }) => {
    expect(checkPassword("köpfe-über-14ab", CONTEXT)).toBe(null);
    expect(checkPassword("köpfe-über-14ab".normalize("NFD"), CONTEXT)).toBe(null);
    expect(checkPassword("köpfe-über-14a".normalize("NFD"), CONTEXT)).toBe(
      "The password is shorter than 15 characters.",
    );
    expect(checkPassword("🐎🔋📎🌵🦉🧭🪁", SHORT)).toBe("The password is shorter than 8 characters.");
    expect(checkPassword("🐎🔋📎🌵🦉🧭🪁🎻", SHORT)).toBe(null);
  });

  it("is never allowed to be below 8, whatever the configuration says", ({ expect }) => {
    expect(checkPassword("kT9#vq2", { ...CONTEXT, minLength: 1 })).toBe("The password is shorter than 8 characters.");
    expect(checkPassword("kT9#vq2x", { ...CONTEXT, minLength: 1 })).toBe(null);
  });

  it("may be up to 1,024 bytes of UTF-8", ({ expect }) => {
    const words = (count: number): string => "horse battery staple ".repeat(60).slice(0, count - 2) + "é";
    expect(checkPassword(words(1024), CONTEXT)).toBe(null);
    expect(checkPassword(words(1025), CONTEXT)).toBe("The password is longer than 1024 bytes.");
  });
});

describe("what is good", () => {
  it.for([
    "correct horse battery staple",
    "alice likes green apples",
    "my password is the best",
    "the widgets of acme are nice",
    "1234 reasons to leave",
    "zyxwvut and some more",
    "alice83746592817465",
    "пароль-для-входа",
    "        spaces count        x",
    "MonkeyDragonLetmein",
  ])("takes %j: long, and not what an attacker tries first", (password, { expect }) => {
    expect(checkPassword(password, CONTEXT)).toBe(null);
  });

  it("asks for no digits, capitals or symbols, and forbids none", ({ expect }) => {
    expect(checkPassword("plainlowercaseletters", CONTEXT)).toBe(null);
    expect(checkPassword("~!@#$%^&*()_+{}|:<>?", CONTEXT)).toBe(null);
  });
});

describe("common passwords", () => {
  it.for([
    "password1",
    "PASSWORD1",
    "Sunshine",
    "ＰＡＳＳＷＯＲＤ１",
    "football",
    "polniypizdec0211",
    "passwordpassword",
  ])("are refused in any case and width: %j", (password, { expect }) => {
    expect(checkPassword(password, SHORT)).toBe(TOO_COMMON);
  });

  it("are compared whole: a longer password may contain one", ({ expect }) => {
    expect(checkPassword("football in the rain", SHORT)).toBe(null);
  });

  it("come from a list that decodes to as many entries as its header says, the first and the last among them", ({
    expect,
  }) => {
    for (const entry of ["0.0.0.000", "zxcvbnm1", "p030710p$e4o", "password", "iloveyou", "trustno1", "starwars"]) {
      expect(isCommonPassword(entry), entry).toBe(true);
    }
    for (const entry of ["", "zxcvbnm12", "passwor", "Password"]) expect(isCommonPassword(entry), entry).toBe(false);
  });
});

describe("repetitions, sequences and dates", () => {
  it.for([
    "aaaaaaaaaaaaaaaa",
    "🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎🐎",
    "abcabcabcabcabcabc",
    "12ab12ab12ab12ab",
    "123456789012345",
    "987654321098765",
    "abcdefghijklmnop",
    "qwertyuiopasdfghjkl",
    "lkjhgfdsapoiuytrewq",
    "1qaz2wsx3edc4rfv",
    "q1w2e3r4t5y6u7i8",
    "111222333444555",
    "QWERTY1234567890",
    "123456789987654321",
  ])("are refused: %j", (password, { expect }) => {
    expect(checkPassword(password, CONTEXT)).toBe(PREDICTABLE);
  });

  it.for(["24121999", "12241999", "19991224", "01012000"])(
    "a date is refused, where 8 characters are enough: %j",
    (password, { expect }) => {
      expect(checkPassword(password, SHORT)).toBe(PREDICTABLE);
    },
  );

  it("are no matter when they are only a part", ({ expect }) => {
    for (const password of ["24121999x", "qwertyuiop-tango", "aaaaaaaaaaaa b", "39121999"]) {
      expect(isPredictable(password), password).toBe(false);
    }
  });
});

describe("the user's and the service's own words", () => {
  it.for([
    "alice.smith@corp.example",
    "ALICE.SMITH2024",
    "alicesmithalice",
    "smith-smith-smith!",
    "alice123456789alice",
    "***alice***alice***",
  ])("a password made from the username is refused: %j", (password, { expect }) => {
    expect(checkPassword(password, SHORT)).toBe(OF_USERNAME);
  });

  it.for(["auth.acme-widgets.com", "acmewidgets2026", "AcmeAcmeAcmeAcme1", "widgets-widgets", "acme-widgets!!"])(
    "a password made from the host name is refused: %j",
    (password, { expect }) => {
      expect(checkPassword(password, SHORT)).toBe(OF_SERVICE);
    },
  );

  it("words of less than three characters, and the last label of the host, are nobody's", ({ expect }) => {
    const context = { minLength: 8, username: "al", issuerHost: "id.example" };
    expect(checkPassword("al-7391-al", context)).toBe(null);
    expect(checkPassword("example-7391", { ...context, issuerHost: "auth.shop.example" })).toBe(null);
    expect(checkPassword("localhost-7391", { ...context, issuerHost: "localhost" })).toBe(OF_SERVICE);
  });
});

describe("robustness", () => {
  it("refuses lone surrogates, which all hash alike", ({ expect }) => {
    expect(checkPassword("correct horse battery \ud800", CONTEXT)).toBe(
      "The password has characters that are not valid Unicode.",
    );
  });

  it("never repeats any of the password in a reason", ({ expect }) => {
    for (const password of ["sunshine", "12345678", "smithsmith", "acmeacmeacmeacme", "kT9#vq2"]) {
      const reason = checkPassword(password, SHORT);
      expect(reason).not.toBe(null);
      expect(reason).not.toContain(password);
    }
  });
});
