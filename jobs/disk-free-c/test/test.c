// What it decides, on this machine: `make test`.

#undef NDEBUG
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "disk.h"
#include "json.h"

static json parsed(const char *text) {
    json value;
    assert(json_parse(text, strlen(text), &value));
    return value;
}

static void json_that_is_none_is_refused(void) {
    static const char *const wrong[] = {
        "", "{", "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}", "01", "1.", "-", "1e", "\"a", "\"\\x\"", "\"\\u12g4\"", "tru", "1 2", "[1}",
        "\"\x01\"", "nulll",
    };
    json value;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (json_parse(wrong[i], strlen(wrong[i]), &value)) {
            printf("taken for JSON: %s\n", wrong[i]);
            assert(false);
        }
    }
    assert(!json_parse("1\0", 2, &value));
    char deep[2 * JSON_DEPTH + 3];
    memset(deep, '[', JSON_DEPTH + 1);
    memset(deep + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
    assert(!json_parse(deep, 2 * (JSON_DEPTH + 1), &value));
    assert(json_parse(deep + 1, 2 * JSON_DEPTH, &value));
}

static void values_are_read(void) {
    json object = parsed(" { \"a\" : [ 1 , {} , \"x\" ] , \"b\" : -1.5e2, \"c\": \"12\", \"b\\u0041\": true } "), value;
    double number;
    assert(json_member(object, "b", &value) && json_number(value, &number) && number == -150);
    assert(json_member(object, "c", &value) && json_number(value, &number) && number == 12);
    assert(json_member(object, "bA", &value) && !json_number(value, &number));
    assert(!json_member(object, "d", &value));
    assert(json_member(object, "a", &value));
    int count = 0;
    for (json key, element = {NULL, NULL}; json_next(value, &key, &element);) count++;
    assert(count == 3);
}

static void texts_are_unescaped_and_cut(void) {
    char text[16];
    assert(json_text(parsed("\"a\\n\\\"\\u00e4\\ud83d\\ude00\""), text, sizeof text));
    assert(strcmp(text, "a\n\"\xc3\xa4\xf0\x9f\x98\x80") == 0);
    assert(json_text(parsed("\"\\ud83d\\u0000\""), text, sizeof text) && strcmp(text, "\xef\xbf\xbd\xef\xbf\xbd") == 0);
    assert(json_text(parsed("\"abcdefgh\""), text, 4) && strcmp(text, "abc") == 0);
    assert(!json_text(parsed("7"), text, sizeof text));
}

static char news[2000];

static watch started(const troubles *before) {
    news[0] = '\0';
    return (watch){.warn = 10, .before = before, .news = {news, 0, sizeof news}};
}

static const char *const answer =
    "{\"filesystems\": [{\"target\": \"/\", \"size\": 1000, \"avail\": \"99\"}, {\"target\": \"/data\", \"size\": 1000, \"avail\": 100},"
    "{\"target\": \"/proc\", \"size\": 0, \"avail\": 0}, {\"target\": \"/boot\", \"size\": null, \"avail\": null}]}";

static void a_low_filesystem_is_told_once(void) {
    const troubles none = {.count = 0};
    watch on = started(&none);
    assert(watch_answer(&on, "db<1>", answer, strlen(answer)) == NULL);
    assert(on.filesystems == 2 && on.low == 1 && on.told == 1);
    assert(strcmp(news, ":warning: *db&lt;1&gt;* /: 99 B of 1000 B free, 9.9 %") == 0);

    const troubles before = on.now;
    on = started(&before);
    assert(watch_answer(&on, "db<1>", answer, strlen(answer)) == NULL);
    assert(on.low == 1 && on.told == 0 && troubles_have(&on.now, trouble_name("db<1>", "/")));

    on = started(&before);
    const char *const better = "{\"filesystems\": [{\"target\": \"/\", \"size\": 4398046511104, \"avail\": 2199023255552}]}";
    assert(watch_answer(&on, "db<1>", better, strlen(better)) == NULL);
    assert(on.told == 1 && on.now.count == 0);
    assert(strcmp(news, ":white_check_mark: *db&lt;1&gt;* / has room again: 2.0 TiB of 4.0 TiB free, 50.0 %") == 0);
}

static void a_silent_machine_is_told_once_and_its_troubles_stay(void) {
    troubles before = {.count = 0};
    troubles_add(&before, trouble_name("db", "/"));
    troubles_add(&before, trouble_name("web", "/"));
    watch on = started(&before);
    watch_silent(&on, "db", "status 503");
    assert(on.told == 1 && on.now.count == 2 && !troubles_have(&on.now, trouble_name("web", "/")));

    const troubles after = on.now;
    on = started(&after);
    watch_silent(&on, "db", "status 503");
    assert(on.told == 0 && on.now.count == 2);
    on = started(&after);
    assert(watch_answer(&on, "db", answer, strlen(answer)) == NULL);
    assert(strcmp(news, ":white_check_mark: *db* answers again") == 0 && on.now.count == 1);
}

static void an_answer_of_another_shape_is_named(void) {
    const troubles none = {.count = 0};
    watch on = started(&none);
    assert(strstr(watch_answer(&on, "db", "<html>", 6), "no JSON"));
    assert(strstr(watch_answer(&on, "db", "{}", 2), "no list"));
    const char *const bare = "{\"filesystems\": [{\"target\": \"/\"}]}";
    assert(strstr(watch_answer(&on, "db", bare, strlen(bare)), "--bytes"));
}

static void what_is_remembered_comes_back_and_fits(void) {
    troubles all = {.count = 0};
    for (uint32_t i = 0; i < MAX_TROUBLES; i++) assert(troubles_add(&all, 0xfffffff0u - i));
    assert(!troubles_add(&all, 1) && troubles_add(&all, 0xfffffff0u));
    char data[500];
    text written = {data, 0, sizeof data};
    troubles_write(&all, &written);
    assert(written.length <= 398);
    const troubles read = troubles_read(data);
    assert(read.count == MAX_TROUBLES && memcmp(read.name, all.name, sizeof all.name) == 0);
    assert(troubles_read("rubbish").count == 0 && troubles_read("0000000").count == 0 && troubles_read("00000001 x").count == 0);
}

int main(void) {
    json_that_is_none_is_refused();
    values_are_read();
    texts_are_unescaped_and_cut();
    a_low_filesystem_is_told_once();
    a_silent_machine_is_told_once_and_its_troubles_stay();
    an_answer_of_another_shape_is_named();
    what_is_remembered_comes_back_and_fits();
    puts("test result: ok. 7 passed; 0 failed");
}
