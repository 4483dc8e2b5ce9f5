//! `toLocaleString` of numbers: grouping, fractions, percent and currencies, in the ways that are written most.
//!
//! The engine has no tables of languages. What is not here is refused by name rather than written in a wrong way.

/** What groups and what stands before fractions. India groups the first three digits and then two by two. */
const LOCALES = {
  en: { group: ",", decimal: "." },
  "en-IN": { group: ",", decimal: ".", sizes: [3, 2] },
  hi: { group: ",", decimal: ".", sizes: [3, 2] },
  de: { group: ".", decimal: ",", after: true },
  es: { group: ".", decimal: ",", after: true, from: 5 },
  it: { group: ".", decimal: ",", after: true },
  nl: { group: ".", decimal: "," },
  "pt-BR": { group: ".", decimal: ",", spaced: true },
  fr: { group: "\u202f", decimal: ",", after: true },
  ja: { group: ",", decimal: "." },
  zh: { group: ",", decimal: "." },
};
const SYMBOLS = { USD: "$", EUR: "€", GBP: "£", INR: "₹", JPY: "¥", CNY: "CN¥", BRL: "R$" };
const WHOLE = ["JPY", "KRW", "VND", "CLP"];
const OPTIONS = ["style", "currency", "minimumFractionDigits", "maximumFractionDigits", "useGrouping"];

export function numberToLocaleString(value, locales, options = {}) {
  const locale = localeOf(locales);
  for (const key of Object.keys(options ?? {})) {
    if (!OPTIONS.includes(key)) throw new RangeError(`toLocaleString: the option \`${key}\` is not here, only ${OPTIONS.join(", ")}`);
  }
  const { style = "decimal", currency, useGrouping = true } = options;
  if (!["decimal", "percent", "currency"].includes(style)) throw new RangeError(`toLocaleString: the style \`${style}\` is not here`);
  if (style === "currency" && !/^[A-Z]{3}$/.test(currency ?? "")) throw new TypeError("toLocaleString: a currency needs its code, such as EUR");
  if (Number.isNaN(Number(value))) return "NaN";
  const usual = style === "currency" && !WHOLE.includes(currency) ? 2 : 0;
  const least = options.minimumFractionDigits ?? Math.min(usual, options.maximumFractionDigits ?? usual);
  const most = options.maximumFractionDigits ?? Math.max(least, style === "decimal" ? 3 : usual);
  if (!(least >= 0 && most <= 20 && least <= most)) throw new RangeError("toLocaleString: fraction digits are 0 to 20, the minimum at most the maximum");
  const text = digits(value, style === "percent" ? 2 : 0, least, most);
  const isNegative = text.startsWith("-");
  const [whole, fraction] = text.replace("-", "").split(".");
  const number = (useGrouping ? grouped(whole, locale) : whole) + (fraction ? locale.decimal + fraction : "");
  return (isNegative ? "-" : "") + styled(number, style, currency, locale);
}

function styled(number, style, currency, locale) {
  if (style === "percent") return locale.after ? `${number}\u00a0%` : `${number}%`;
  if (style !== "currency") return number;
  const symbol = SYMBOLS[currency] ?? currency;
  if (locale.after) return `${number}\u00a0${symbol}`;
  const isWord = locale.spaced || symbol === currency || locale === LOCALES.nl;
  return isWord ? `${symbol}\u00a0${number}` : symbol + number;
}

function localeOf(locales) {
  const [tag = "en-US"] = [locales].flat().filter(Boolean);
  const found = LOCALES[tag] ?? (tag === "pt-PT" || tag === "de-CH" || tag === "de-AT" || (tag.startsWith("es-") && tag !== "es-ES") ? undefined : LOCALES[String(tag).split("-")[0]]);
  if (!found) throw new RangeError(`toLocaleString: the locale \`${tag}\` is not here, only ${Object.keys(LOCALES).join(", ")}`);
  return found;
}

/** The decimal digits of a number, shifted, rounded half away from zero as people write amounts. */
function digits(value, shift, least, most) {
  if (typeof value === "bigint") return (value * 10n ** BigInt(shift)).toString() + (least ? `.${"0".repeat(least)}` : "");
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  const [mantissa, exponent = "0"] = String(value).split("e");
  const [whole, fraction = ""] = mantissa.replace("-", "").split(".");
  let point = whole.length + Number(exponent) + shift;
  let all = whole + fraction;
  if (point < 0) {
    all = "0".repeat(-point) + all;
    point = 0;
  }
  all = all.padEnd(point, "0");
  const kept = point + most;
  let scaled = BigInt(all.slice(0, kept).padEnd(kept, "0") || "0");
  if (Number(all[kept] ?? 0) >= 5) scaled += 1n;
  const text = scaled.toString().padStart(most + 1, "0");
  const ending = most === 0 ? "" : text.slice(-most).replace(new RegExp(`0{0,${most - least}}$`), "");
  const isNegative = value < 0 || Object.is(value, -0);
  return (isNegative ? "-" : "") + (most === 0 ? text : text.slice(0, -most)) + (ending ? `.${ending}` : "");
}

function grouped(whole, { group, sizes = [3, 3], from = 4 }) {
  if (whole.length < from || !/^\d+$/.test(whole)) return whole;
  const parts = [whole.slice(-sizes[0])];
  for (let end = whole.length - sizes[0]; end > 0; end -= sizes[1]) parts.unshift(whole.slice(Math.max(0, end - sizes[1]), end));
  return parts.join(group);
}

export function installLocale() {
  for (const type of [Number, BigInt]) {
    Object.defineProperty(type.prototype, "toLocaleString", {
      value(locales, options) { return numberToLocaleString(this.valueOf(), locales, options); },
      writable: true,
      configurable: true,
    });
  }
}
