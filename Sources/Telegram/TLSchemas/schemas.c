// Made by scripts/tl-schema.py: the schemas as they are in data/.
//
// Their digests are here so that a change of them is built.
// 181.tl: 795d7c247f3e19d742e7ec67f6873ef2d58cfe3e3170f4c69a74d8b62803cc4f
// 201.tl: 1f924f45ee93a17b4ea1faa80d76e81612575daac21bd3708cfd2156aa41374a
// 229.tl: 1f84f0ea46e4b6d99eb2dc204f59dfbc30ed8dbc7fc686174bd7689d0ad36440
// mtproto.tl: ccc964ac780b7fdbd7d223568ee23441b3f495b64f7e6ec40475c05c2418f8ea

#include "TLSchemas.h"

#define SCHEMA(NAME, FILE)                                                                                              \
    __asm__(".pushsection .rodata\n.global tl_schema_" NAME "\ntl_schema_" NAME ":\n.incbin \"" FILE "\"\n"               \
            ".global tl_schema_" NAME "_end\ntl_schema_" NAME "_end:\n.byte 0\n.popsection\n")

SCHEMA("181", "181.tl");
SCHEMA("201", "201.tl");
SCHEMA("229", "229.tl");
SCHEMA("mtproto", "mtproto.tl");
