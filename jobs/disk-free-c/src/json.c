#include "json.h"

#include <stdlib.h>
#include <string.h>

static const char *space(const char *at, const char *end) {
    while (at < end && strchr(" \t\r\n", *at) != NULL && *at != '\0') at++;
    return at;
}

static bool digit(const char *at, const char *end) { return at < end && *at >= '0' && *at <= '9'; }

static const char *digits(const char *at, const char *end) {
    while (digit(at, end)) at++;
    return at;
}

static const char *string_end(const char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++) {
        if ((unsigned char)*at < 0x20) return NULL;
        if (*at != '\\') continue;
        if (++at >= end) return NULL;
        if (*at == 'u') {
            for (int i = 0; i < 4; i++) {
                at++;
                if (at >= end || *at == '\0' || strchr("0123456789abcdefABCDEF", *at) == NULL) return NULL;
            }
        } else if (*at == '\0' || strchr("\"\\/bfnrt", *at) == NULL) {
            return NULL;
        }
    }
    return at < end ? at + 1 : NULL;
}

static const char *number_end(const char *at, const char *end) {
    if (at < end && *at == '-') at++;
    if (!digit(at, end)) return NULL;
    at = *at == '0' ? at + 1 : digits(at, end);
    if (at < end && *at == '.') {
        if (!digit(++at, end)) return NULL;
        at = digits(at, end);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        if (!digit(at, end)) return NULL;
        at = digits(at, end);
    }
    return at;
}

static const char *word_end(const char *at, const char *end) {
    static const char *const words[] = {"true", "false", "null"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        if ((size_t)(end - at) >= length && memcmp(at, words[i], length) == 0) return at + length;
    }
    return NULL;
}

// Behind the value that begins here; NULL if it is none.
static const char *value_end(const char *at, const char *end, int depth) {
    if (at >= end) return NULL;
    if (*at == '"') return string_end(at, end);
    if (*at != '{' && *at != '[') return *at == '-' || digit(at, end) ? number_end(at, end) : word_end(at, end);
    if (depth == JSON_DEPTH) return NULL;

    const bool object = *at == '{';
    const char close = object ? '}' : ']';
    at = space(at + 1, end);
    if (at < end && *at == close) return at + 1;
    for (;;) {
        if (object) {
            if (at >= end || *at != '"') return NULL;
            at = string_end(at, end);
            if (at == NULL) return NULL;
            at = space(at, end);
            if (at >= end || *at != ':') return NULL;
            at = space(at + 1, end);
        }
        at = value_end(at, end, depth + 1);
        if (at == NULL) return NULL;
        at = space(at, end);
        if (at >= end) return NULL;
        if (*at == close) return at + 1;
        if (*at != ',') return NULL;
        at = space(at + 1, end);
    }
}

bool json_parse(const char *text, size_t length, json *value) {
    const char *end = text + length;
    value->start = space(text, end);
    value->end = value_end(value->start, end, 0);
    return value->end != NULL && space(value->end, end) == end;
}

bool json_is(json value, char kind) { return value.start < value.end && *value.start == kind; }

bool json_next(json container, json *key, json *value) {
    if (!json_is(container, '{') && !json_is(container, '[')) return false;
    const char *at = space(value->end == NULL ? container.start + 1 : value->end, container.end);
    if (*at == ',') at = space(at + 1, container.end);
    if (*at == '}' || *at == ']') return false;
    *key = (json){NULL, NULL};
    if (json_is(container, '{')) {
        *key = (json){at, string_end(at, container.end)};
        at = space(key->end, container.end);
        at = space(at + 1, container.end);
    }
    *value = (json){at, value_end(at, container.end, 0)};
    return true;
}

bool json_member(json object, const char *name, json *value) {
    bool found = false;
    char text[64];
    for (json key, member = {NULL, NULL}; json_next(object, &key, &member);) {
        if (json_text(key, text, sizeof text) && strcmp(text, name) == 0) {
            *value = member;
            found = true;
        }
    }
    return found;
}

static unsigned hex4(const char *at) {
    char text[5] = {at[0], at[1], at[2], at[3], '\0'};
    return (unsigned)strtoul(text, NULL, 16);
}

// Writes a character in UTF-8, as many bytes as it has.
static size_t utf8(unsigned code, char out[4]) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(first[length] | code);
    return length;
}

bool json_text(json value, char *out, size_t size) {
    if (!json_is(value, '"') || size == 0) return false;
    size_t used = 0;
    for (const char *at = value.start + 1; at < value.end - 1; at++) {
        char bytes[4] = {*at};
        size_t length = 1;
        if (*at == '\\') {
            at++;
            if (*at == 'u') {
                unsigned code = hex4(at + 1);
                at += 4;
                if (code >= 0xd800 && code < 0xdc00 && value.end - at > 6 && at[1] == '\\' && at[2] == 'u') {
                    unsigned low = hex4(at + 3);
                    if (low >= 0xdc00 && low < 0xe000) {
                        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                        at += 6;
                    }
                }
                // Half of a pair is no character, and a zero would end the text.
                length = utf8((code >= 0xd800 && code < 0xe000) || code == 0 ? 0xfffd : code, bytes);
            } else {
                static const char names[] = "bfnrt", meant[] = "\b\f\n\r\t";
                const char *name = strchr(names, *at);
                bytes[0] = name == NULL ? *at : meant[name - names];
            }
        }
        if (used + length >= size) break;
        memcpy(out + used, bytes, length);
        used += length;
    }
    out[used] = '\0';
    return true;
}

bool json_number(json value, double *out) {
    char text[64];
    if (!json_text(value, text, sizeof text)) {
        size_t length = (size_t)(value.end - value.start);
        if (length >= sizeof text || (!json_is(value, '-') && !digit(value.start, value.end))) return false;
        memcpy(text, value.start, length);
        text[length] = '\0';
    }
    const char *end = text + strlen(text);
    if (number_end(text, end) != end) return false;
    *out = strtod(text, NULL);
    return true;
}
