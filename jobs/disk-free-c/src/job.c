// Asks machines how much room their filesystems have, and tells Slack which are low.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "job.h"
#include "json.h"

// A module's memory is one run's, so nothing is given back but what the bindings free: the summary and the reason.

enum { MAX_MACHINES = 50, TIMEOUT_MS = 10000, RESERVE_MS = 3000 };

typedef struct {
    char channel[128];
    double warn;
    json machines;
} settings;

static job_string_t borrowed(const char *from) { return (job_string_t){(uint8_t *)from, strlen(from)}; }

static char *copied(job_string_t from) {
    char *to = malloc(from.len + 1);
    if (to == NULL) abort();
    memcpy(to, from.ptr, from.len);
    to[from.len] = '\0';
    return to;
}

static bool fails(job_failure_t *failure, uint8_t tag, const char *why) {
    failure->tag = tag;
    failure->val.retry = borrowed(copied(borrowed(why)));
    return false;
}

static bool final(job_failure_t *failure, const char *why) { return fails(failure, SOLOIST_JOB_TYPES_FAILURE_FINAL, why); }

static bool retry(job_failure_t *failure, const char *why) { return fails(failure, SOLOIST_JOB_TYPES_FAILURE_RETRY, why); }

// NULL, or which setting is wrong.
static const char *settings_read(settings *to, json of) {
    static char mistake[160];
    *to = (settings){.warn = 10};
    for (json key, value = {NULL, NULL}; json_next(of, &key, &value);) {
        char name[64];
        json_text(key, name, sizeof name);
        if (strcmp(name, "channel") == 0) {
            if (!json_text(value, to->channel, sizeof to->channel)) return "the setting `channel` must be a text";
        } else if (strcmp(name, "warn") == 0) {
            if (!json_number(value, &to->warn) || to->warn <= 0 || to->warn >= 100) {
                return "the setting `warn` must be a number between 0 and 100";
            }
        } else if (strcmp(name, "machines") == 0) {
            to->machines = value;
        } else {
            snprintf(mistake, sizeof mistake, "unknown setting `%s`", name);
            return mistake;
        }
    }
    if (to->channel[0] == '\0') return "the setting `channel` is missing";
    if (!json_is(to->machines, '{')) return "the setting `machines` must be a table of names and URLs";
    return NULL;
}

// Asks one machine. False if no machine can be asked so, with the reason.
static bool ask(watch *on, const char *machine, const char *url, const char **denied) {
    const uint64_t left = soloist_job_clock_left_ms();
    if (left <= RESERVE_MS) {
        watch_silent(on, machine, "no time was left to ask it");
        return true;
    }
    const uint64_t most = left - RESERVE_MS;
    soloist_job_http_request_t request = {
        .method = borrowed("GET"),
        .url = borrowed(url),
        .timeout_ms = {true, most < TIMEOUT_MS ? (uint32_t)most : TIMEOUT_MS},
    };
    soloist_job_http_response_t response;
    soloist_job_http_error_t error;
    if (!soloist_job_http_fetch(&request, &response, &error)) {
        switch (error.tag) {
        case SOLOIST_JOB_HTTP_ERROR_DENIED:
        case SOLOIST_JOB_HTTP_ERROR_INVALID: *denied = copied(error.val.denied); return false;
        case SOLOIST_JOB_HTTP_ERROR_TIMEOUT: watch_silent(on, machine, "no answer in time"); return true;
        default: watch_silent(on, machine, copied(error.val.failed)); return true;
        }
    }
    char status[32];
    const char *wrong = NULL;
    if (response.status != 200) {
        snprintf(status, sizeof status, "status %u", response.status);
        wrong = status;
    } else {
        wrong = watch_answer(on, machine, (const char *)response.body.ptr, response.body.len);
    }
    if (wrong != NULL) watch_silent(on, machine, wrong);
    return true;
}

static bool tell(const char *channel, const text *news, job_failure_t *failure) {
    soloist_job_slack_message_t message = {.channel = borrowed(channel), .text = {(uint8_t *)news->data, news->length}};
    soloist_job_slack_option_posted_t posted;
    soloist_job_slack_error_t error;
    if (soloist_job_slack_post(&message, &posted, &error)) return true;
    char why[512];
    switch (error.tag) {
    case SOLOIST_JOB_SLACK_ERROR_RATE_LIMITED:
        snprintf(why, sizeof why, "Slack asks to wait %u s", error.val.rate_limited);
        return retry(failure, why);
    case SOLOIST_JOB_SLACK_ERROR_UNAVAILABLE:
        snprintf(why, sizeof why, "%s could not be told: %s", channel, copied(error.val.unavailable));
        return retry(failure, why);
    case SOLOIST_JOB_SLACK_ERROR_REJECTED:
        snprintf(why, sizeof why, "Slack refused the message to %s: %s", channel, copied(error.val.rejected));
        return final(failure, why);
    default: return final(failure, copied(error.val.denied));
    }
}

static bool remember(const troubles *now, job_failure_t *failure) {
    static char data[MAX_TROUBLES * (TROUBLE_DIGITS + 1) + 1];
    text written = {data, 0, sizeof data};
    troubles_write(now, &written);
    job_string_t value = {(uint8_t *)written.data, written.length};
    soloist_job_state_error_t error;
    return soloist_job_state_set(&value, &error) || final(failure, "what is to be remembered does not fit");
}

bool exports_job_run(job_context_t *context, job_string_t *summary, job_failure_t *failure) {
    (void)context;
    job_string_t config, known;
    soloist_job_config_json(&config);
    json document;
    settings set;
    if (!json_parse((const char *)config.ptr, config.len, &document)) return final(failure, "the settings are no JSON");
    const char *wrong = settings_read(&set, document);
    if (wrong != NULL) return final(failure, wrong);

    static char news[16000], words[256];
    const troubles before = troubles_read(soloist_job_state_get(&known) ? copied(known) : "");
    watch on = {.warn = set.warn, .before = &before, .news = {news, 0, sizeof news}};
    unsigned machines = 0;
    for (json key, value = {NULL, NULL}; json_next(set.machines, &key, &value);) {
        char machine[128], url[2048];
        if (!json_text(key, machine, sizeof machine) || !json_text(value, url, sizeof url)) {
            return final(failure, "each of the `machines` must have a URL");
        }
        if (++machines > MAX_MACHINES) return final(failure, "there may be 50 `machines`");
        const char *denied;
        if (!ask(&on, machine, url, &denied)) return final(failure, denied);
    }

    text line = {words, 0, sizeof words};
    text_add(&line, "%u of %u machines answered, %u filesystems, %u low", machines - on.silent, machines, on.filesystems, on.low);
    if (on.told > 0) {
        if (!tell(set.channel, &on.news, failure)) return false;
        text_add(&line, "; told %s", set.channel);
    }
    if (!remember(&on.now, failure)) return false;
    *summary = borrowed(copied((job_string_t){(uint8_t *)line.data, line.length}));
    return true;
}
