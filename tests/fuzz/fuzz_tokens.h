/* The tokens of hostile bodies. */
#ifndef FUZZ_TOKENS_H
#define FUZZ_TOKENS_H

#include "fuzz_text.h"

/* A block of the scanner is 32 or 64 bytes. */
static const uint16_t RUN_LENGTHS[] = {15, 16, 17, 30, 31, 32, 33, 34, 62, 63, 64, 65, 66, 127, 128, 129};

static const token GOOD_PIECES[] = {
    TOKEN("a"), TOKEN("abc"), TOKEN(" "), TOKEN("{"), TOKEN("]"), TOKEN(","), TOKEN(":"), TOKEN("/"),
    TOKEN("0"), TOKEN("_"), TOKEN("\x7f"), TOKEN("\\\""), TOKEN("\\\\"), TOKEN("\\/"), TOKEN("\\b"),
    TOKEN("\\f"), TOKEN("\\n"), TOKEN("\\r"), TOKEN("\\t"), TOKEN("\\u0000"), TOKEN("\\u00e9"),
    TOKEN("\\u0022"), TOKEN("\\u005C"), TOKEN("\\ud83d\\ude00"), TOKEN("\\ud800"), TOKEN("\\uDC00"),
    TOKEN("\xc2\x80"), TOKEN("\xdf\xbf"), TOKEN("\xe0\xa0\x80"), TOKEN("\xe2\x82\xac"), TOKEN("\xed\x9f\xbf"),
    TOKEN("\xee\x80\x80"), TOKEN("\xef\xbf\xbf"), TOKEN("\xf0\x90\x80\x80"), TOKEN("\xf0\x9f\x98\x80"),
    TOKEN("\xf4\x8f\xbf\xbf"), TOKEN("AACAPwAAAEAAAEBA"), TOKEN("_hevlayer:"),
};

static const token BAD_PIECES[] = {
    TOKEN("\\a"), TOKEN("\\x41"), TOKEN("\\'"), TOKEN("\\u"), TOKEN("\\u1"), TOKEN("\\u12"), TOKEN("\\u123"),
    TOKEN("\\u12g4"), TOKEN("\\U0041"), TOKEN("\\\n"), TOKEN("\\\x00"), TOKEN("\\"), TOKEN("\x80"), TOKEN("\xbf"),
    TOKEN("\xc0\x80"), TOKEN("\xc1\xbf"), TOKEN("\xc2"), TOKEN("\xc3\xc3"), TOKEN("\xe0\x80\x80"),
    TOKEN("\xe0\x9f\xbf"), TOKEN("\xe2\x82"), TOKEN("\xed\xa0\x80"), TOKEN("\xed\xbf\xbf"),
    TOKEN("\xf0\x80\x80\x80"), TOKEN("\xf0\x8f\xbf\xbf"), TOKEN("\xf0\x9f\x98"), TOKEN("\xf4\x90\x80\x80"),
    TOKEN("\xf5\x80\x80\x80"), TOKEN("\xff"), TOKEN("\x00"), TOKEN("\x01"), TOKEN("\t"), TOKEN("\n"), TOKEN("\x1f"),
};

static const token GOOD_NUMBERS[] = {
    TOKEN("0"), TOKEN("1"), TOKEN("-0"), TOKEN("-1"), TOKEN("42"), TOKEN("0.5"), TOKEN("-12.25e+3"),
    TOKEN("1E5"), TOKEN("1e-7"), TOKEN("18446744073709551615"), TOKEN("0.3333333333333333"),
    TOKEN("9999999999999999999999999999999"), TOKEN("99999999999999999999999999999999"),
    TOKEN("0.33333333333333333333333333333333333333333333333333333333333333"),
};

static const token ODD_NUMBERS[] = {
    TOKEN("+1"), TOKEN(".5"), TOKEN("1."), TOKEN("01"), TOKEN("-"), TOKEN("--1"), TOKEN("1e"), TOKEN("1e+"),
    TOKEN("e5"), TOKEN("E"), TOKEN("1.2.3"), TOKEN("-01"), TOKEN("1-2"), TOKEN("."), TOKEN("-.5"),
};

static const token LITERALS[] = {TOKEN("true"), TOKEN("false"), TOKEN("null")};

static const token NAMES[] = {
    TOKEN("upsert_rows"), TOKEN("upsert_columns"), TOKEN("patch_rows"), TOKEN("patch_columns"),
    TOKEN("deletes"), TOKEN("delete_by_filter"), TOKEN("patch_by_filter"), TOKEN("copy_from_namespace"),
    TOKEN("branch_from_namespace"), TOKEN("create_namespace"), TOKEN("schema"), TOKEN("distance_metric"),
    TOKEN("upsert_condition"), TOKEN("patch_condition"), TOKEN("delete_condition"),
    TOKEN("delete_by_filter_allow_partial"), TOKEN("patch_by_filter_allow_partial"),
    TOKEN("return_affected_ids"), TOKEN("disable_backpressure"), TOKEN("encryption"), TOKEN("sharding"),
    TOKEN("upserts"), TOKEN("patches"), TOKEN("id"), TOKEN("vector"), TOKEN("vectors"), TOKEN("blobs"),
    TOKEN("patch"), TOKEN("filters"), TOKEN("_hevlayer_upserted_at"), TOKEN("_hevlayer_shard"),
    TOKEN("_hevlayer_"), TOKEN("_hevlayer"), TOKEN("_hevlayerx"), TOKEN("_hevlayer:"), TOKEN("title"), TOKEN("a"),
    TOKEN(""), TOKEN("vecto"), TOKEN("i"),
};

static const token PLAIN_NAMES[] = {TOKEN("title"), TOKEN("a"), TOKEN("text"), TOKEN("n"), TOKEN("i"), TOKEN("idx")};

static const token SOUP[] = {
    TOKEN("{"), TOKEN("}"), TOKEN("["), TOKEN("]"), TOKEN(","), TOKEN(":"), TOKEN("\""), TOKEN("\\"), TOKEN(" "),
    TOKEN("\t"), TOKEN("\n"), TOKEN("\r"), TOKEN("\x0b"), TOKEN("\xc2\xa0"), TOKEN("\xef\xbb\xbf"), TOKEN("//"),
    TOKEN("{\"upsert_rows\":[{\"id\":1,"), TOKEN("{\"upsert_rows\":["), TOKEN("{\"upsert_columns\":{\"id\":[1,2],"),
    TOKEN("{\"patch_rows\":[{\"id\":\"a\","), TOKEN("{\"deletes\":["), TOKEN("{\"patch_by_filter\":{\"patch\":{"),
    TOKEN("{\"schema\":{"), TOKEN("\"id\":1"), TOKEN("\"vector\":[1,2]"), TOKEN("\"vectors\":[[1]]"),
    TOKEN("{\"id\":2}"), TOKEN("]}"), TOKEN("}}"), TOKEN("tru"), TOKEN("nul"), TOKEN("NaN"), TOKEN("1x"),
    TOKEN("[["), TOKEN("[{}]"), TOKEN("{}"), TOKEN("[]"), TOKEN("1,2,3,4"),
};

#endif
