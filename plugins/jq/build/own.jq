# Where jaq's own definitions give something else than jq 1.7, and what they leave out.

# Paths: what goes first must not move what goes next.
def setpath($path; $x):
  if $path == [] then $x
  else $path[0] as $key
  | (if . == null then (if ($key | isnumber) then [] elif ($key | isstring) then {} end) end)
  | if isarray and ($key | isnumber) and $key >= length then . + [range($key - length) | null] + [null | setpath($path[1:]; $x)]
    else .[$key] |= setpath($path[1:]; $x)
    end
  end;
def delpaths($paths):
  reduce ($paths | unique | reverse[]) as $path (.;
    if $path == [] then null
    elif (try getpath($path[:-1]) catch null) == null then .
    else getpath($path) |= empty
    end);
def del(f): delpaths([path(f)]);
def pick(f): . as $top | reduce path(f) as $path (null; setpath($path; $top | try getpath($path) catch null));
def leaf_paths: paths(scalars);

# Conversion
def tonumber: if isnumber then . elif isstring then tonumber_text else error("\(type) (\(tojson)) can't be parsed as a number") end;
def toboolean: if isboolean then . elif . == "true" then true elif . == "false" then false else error("\(type) (\(tojson)) can't be parsed as a boolean") end;
def toarray: if isarray then . else [.] end;
def ascii: [.] | implode;
def have_literal_numbers: true;
def have_decnum: false;

# Strings
def join($sep):
  reduce .[] as $x (null;
    (if . == null then "" else . + $sep end)
    + ($x | if . == null then "" elif isstring then . elif isboolean or isnumber then tojson else error("\(type) can't be joined to a string") end))
  | if . == null then "" end;
def ltrimstr($x): if isstring and ($x | isstring) and startswith($x) then .[($x | length):] end;
def rtrimstr($x): if isstring and ($x | isstring) and endswith($x) then .[:length - ($x | length)] end;
def trimstr($x): ltrimstr($x) | rtrimstr($x);

# Lists
def reverse:
  if . == null then []
  elif isstring then explode | [.[length - 1 - range(length)]] | implode
  else [.[length - 1 - range(length)]]
  end;

# Objects
def from_entries:
  reduce .[] as $entry ({};
    . + {
      ($entry | (if .key == null then .k // .name // .Name // .K // .Key else .key end) | if isstring then . else tojson end):
      ($entry | if has("value") then .value elif has("v") then .v else .Value end)
    });
def with_entries(f): to_entries | map(f) | from_entries;

# Searching
def IN(s): any(s == .; .);
def IN(src; s): any(src == s; .);
def INDEX(stream; f): reduce stream as $row ({}; .[$row | f | tostring] = $row);
def INDEX(f): INDEX(.[]; f);

# Streams
def tostream:
  def events($path):
    . as $value
    | if (isarray or isobject) and length > 0
      then (if isarray then [range(length)] else keys_unsorted end) as $keys
      | ($keys[] as $key | $value[$key] | events($path + [$key])), [$path + [$keys[-1]]]
      else [$path, .]
      end;
  events([]);
def fromstream(f):
  foreach f as $event ([null, false];
    (if .[1] then [null, false] end)
    | if ($event | length) == 2
      then .[0] as $value | [($value | setpath($event[0]; $event[1])), ($event[0] == [])]
      else [.[0], ($event[0] | length) == 1]
      end;
    if .[1] then .[0] else empty end);
def truncate_stream(stream): . as $depth | stream | select((.[0] | length) > $depth) | [.[0][$depth:]] + .[1:];

# Dates
def dateadd(unit; $n): . + $n;
def datesub(unit; $n): . - $n;
def date: todate;

# Formatting
def @csv:
  if isarray then
    map(
      if . == null then ""
      elif isstring then "\"" + (split("\"") | join("\"\"")) + "\""
      elif isboolean or isnumber then tojson
      else error("\(type) (\(tojson)) is not valid in a csv row")
      end)
    | join(",")
  else error("\(type) (\(tojson)) can't be csv-formatted, only an array can be")
  end;
def @tsv:
  if isarray then
    map(
      if . == null then ""
      elif isstring then split("\\") | join("\\\\") | split("\t") | join("\\t") | split("\n") | join("\\n") | split("\r") | join("\\r")
      elif isboolean or isnumber then tojson
      else error("\(type) (\(tojson)) is not valid in a tsv row")
      end)
    | join("\t")
  else error("\(type) (\(tojson)) can't be tsv-formatted, only an array can be")
  end;
def @sh:
  [if isarray then .[] end
    | if isstring then "'\(escape_sh)'"
      elif isarray or isobject then error("\(type) (\(tojson)) can not be escaped for shell")
      else tojson
      end]
  | join(" ");
def @html: tostring | escape_html | split("&apos;") | join("&#39;");
def @base64d: tostring | . + (["", "", "==", "="][length % 4]) | decode_base64;
def @base32: tostring | encode_base32;
def @base32d: tostring | decode_base32;
