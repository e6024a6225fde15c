// Reads JSON (RFC 8259) where it lies: nothing is copied but texts, and nothing is allocated.

#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

// The text of one value, within the document.
typedef struct {
    const char *start;
    const char *end;
} json;

// How deep values may be nested.
enum { JSON_DEPTH = 32 };

// The value of a whole document. Whatever is within it can be read without further doubt.
bool json_parse(const char *text, size_t length, json *value);

// The next member of an object or element of an array, whose key is then empty. Start with a `value` of zeros.
bool json_next(json container, json *key, json *value);

// The member of this name. The last one counts.
bool json_member(json object, const char *name, json *value);

// Whether the value begins so: `{`, `[`, `"`.
bool json_is(json value, char kind);

// A text, ended by a zero, cut where it does not fit. False for what is none.
bool json_text(json value, char *out, size_t size);

// A number, or a text that holds one. False for what is none.
bool json_number(json value, double *out);

#endif
