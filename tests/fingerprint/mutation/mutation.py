#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Mutation test of the code fingerprint.

Builds a sample program in edited variants and compares each one's fingerprint with that of the
unedited program: an edit of anything the function reaches must change it (a miss), edits of other
things must not (a hit). Fails if a relevant edit hits, or less than 95 % of the others do.

  mutation.py --include DIR [--include DIR...] --link FLAG [--link FLAG...] [--all] [--only NAME]
              [--every N]

--include: where "memory/code_fingerprint.hpp" and <hoist/...> are found; --link: what to link with,
in order (the library under test first). --all adds configurations that take longer. --only: this
configuration alone. --every: only every Nth edit.
"""
import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))

# name, unit, macros
RELEVANT = [
    ("constant in the function", "sample", ["K_ENTRY=18"]),
    ("constant in a callee", "sample", ["K_CALLEE=4"]),
    ("constant in a callee's callee's callee", "sample", ["K_DEEP=13"]),
    ("operator in a callee's callee", "sample", ["K_OPERATOR=-"]),
    ("constant in an inlined helper", "sample", ["K_INLINED=5"]),
    ("default argument", "sample", ["K_DEFAULT_ARGUMENT=9"]),
    ("string literal, equal length", "sample", ['K_STRING="hello, wOrld"']),
    ("string literal, other length", "sample", ['K_STRING="hello, whole world"']),
    ("loop bound", "sample", ["K_LOOP_BOUND=101"]),
    ("element of a table", "sample", ["K_TABLE=8"]),
    ("how much of a table is used", "sample", ["K_TABLE_LENGTH=7"]),
    ("element of a table of doubles", "sample", ["K_DOUBLE_TABLE=1.25"]),
    ("string in a table, equal length", "sample", ['K_NAME="zeta"']),
    ("string in a table, other length", "sample", ['K_NAME="epsilon"']),
    ("string returned by a switch, equal length", "sample", ['K_WORD="duo"']),
    ("string returned by a switch, other length", "sample", ['K_WORD="twain"']),
    ("string that a variable points to", "sample", ['K_GREETING="hall"']),
    ("initial value of a variable", "sample", ["K_GLOBAL=5"]),
    ("initial value of a thread-local variable", "sample", ["K_THREAD_LOCAL=7"]),
    ("member of a constant struct", "sample", ["K_CONFIG=481"]),
    ("static const member", "sample", ["K_STATIC_MEMBER=251"]),
    ("value of an enumerator", "sample", ["K_ENUM=9"]),
    ("label of a switch case", "sample", ["K_CASE=8"]),
    ("code of a switch case", "sample", ["K_CASE_RESULT=98"]),
    ("value in a switch made into a table", "sample", ["K_LOOKUP=122"]),
    ("element of a local array", "sample", ["K_LOCAL_ARRAY=24"]),
    ("element of a local array of texts", "sample", ['K_UNIT="nm"']),
    ("element of an initializer list", "sample", ["K_LIST=15"]),
    ("double constant", "sample", ["K_DOUBLE=1.3750001"]),
    ("float constant", "sample", ["K_FLOAT=3.2f"]),
    ("signedness", "sample", ["K_TYPE=unsigned"]),
    ("comparison", "sample", ["K_COMPARISON=<="]),
    ("constant in a template callee", "sample", ["K_TEMPLATE=6"]),
    ("constant in a lambda in a callee", "sample", ["K_LAMBDA=10"]),
    ("constant in a recursive callee", "sample", ["K_RECURSION=2"]),
    ("other function called last", "sample", ["K_TAIL_CALL=second"]),
    ("function in a constant table of pointers", "sample", ["K_POINTED=1"]),
    ("order in a constant table of pointers", "sample", ["K_POINTERS=subtract,add,multiply"]),
    ("function that a variable points to", "sample", ["K_MUTABLE_POINTED=1"]),
    ("initial value of a static local", "sample", ["K_STATIC_LOCAL=31"]),
    ("inherited virtual function", "sample", ["K_INHERITED=3"]),
    ("override of a virtual function", "sample", ["K_OVERRIDE=2"]),
    ("override in a second class", "sample", ["K_SECOND_OVERRIDE=5"]),
    ("override added", "sample", ["K_NEW_OVERRIDE"]),
    ("constructor", "sample", ["K_CONSTRUCTOR=5"]),
    ("destructor", "sample", ["K_DESTRUCTOR=6"]),
    ("value thrown", "sample", ["K_THROWN=7"]),
    ("type caught", "sample", ["K_CAUGHT=BadState"]),
    ("code of a handler", "sample", ["K_HANDLER=-4"]),
    ("call removed", "sample", ["K_REMOVED_CALL"]),
    ("function in another unit", "other", ["K_OTHER=13"]),
    ("local function in another unit", "other", ["K_OTHER_HIDDEN=9"]),
    ("table in another unit", "other", ["K_OTHER_TABLE=41"]),
]

IRRELEVANT = [
    ("function added before", "sample", ["U_FUNCTION_BEFORE"]),
    ("function added after", "sample", ["U_FUNCTION_AFTER"]),
    ("function removed", "sample", ["U_REMOVED"]),
    ("function changed", "sample", ["U_CONSTANT=38"]),
    ("functions reordered", "sample", ["U_SECOND_FIRST"]),
    ("function in another unit changed", "other", ["U_OTHER=1000"]),
    ("function in another unit added", "other", ["U_OTHER_BEFORE"]),
    ("function that calls the same functions", "sample", ["U_CALLER"]),
    ("string changed", "sample", ['U_STRING="some unrelated TEXT"']),
    ("string of other length", "sample", ['U_STRING="something else that is longer than it was"']),
    ("string that is the tail of ours", "sample", ["U_TAIL_OF_STRING"]),
    ("table of strings added", "sample", ["U_STRINGS"]),
    ("table changed", "sample", ["U_TABLE=7"]),
    ("table added before", "sample", ["U_TABLE_BEFORE"]),
    ("local array added", "sample", ["U_ARRAY"]),
    ("variable changed", "sample", ["U_GLOBAL=11"]),
    ("variable added before", "sample", ["U_GLOBAL_BEFORE"]),
    ("thread-local variable added", "sample", ["U_THREAD_LOCAL"]),
    ("large zero array added", "sample", ["U_ZERO"]),
    ("variable with run-time initialiser added", "sample", ["U_DYNAMIC"]),
    ("static local added", "sample", ["U_STATIC_LOCAL"]),
    ("switch with jump table added", "sample", ["U_SWITCH"]),
    ("switch made into a table added", "sample", ["U_LOOKUP"]),
    ("class with virtual functions added", "sample", ["U_VIRTUAL_CLASS"]),
    ("template instantiation added", "sample", ["U_TEMPLATE"]),
    ("lambda added", "sample", ["U_LAMBDA"]),
    ("exception type and handler added", "sample", ["U_EXCEPTION"]),
    ("local variable renamed", "sample", ["K_LOCAL_NAME=renamed"]),
    ("comments and lines", "@lines", []),
    ("translation unit added", "@extra", []),
    ("translation unit added in front", "@extra_front", []),
    ("objects linked in other order", "@order", []),
    ("all of the above at once", "@all", []),
]


class Config:
    def __init__(self, name, compiler, compile_flags, link_flags=(), shared=False, optional=False):
        self.name = name
        self.compiler = compiler
        self.compile_flags = list(compile_flags)
        self.link_flags = list(link_flags)
        # The sample as a shared object that the program is linked with.
        self.shared = shared
        # Left out where it can't be linked.
        self.optional = optional


def configurations(all_of_them):
    found = {}
    clangs = [f"clang++-{version}" for version in (19, 18, 17, 16)] + ["clang++"]
    for kind, names in (("g++", ("g++-12", "g++")), ("clang", clangs)):
        found[kind] = next((n for n in names if shutil.which(n)), None)
    result = []
    for kind, compiler in found.items():
        if compiler is None:
            print(f"{kind} isn't installed: its configurations are skipped")
            continue
        linker = ["-fuse-ld=lld"] if kind == "clang" else []
        result.append(Config(f"{kind} -O0", compiler, ["-O0"]))
        result.append(Config(f"{kind} -O2", compiler, ["-O2"]))
        result.append(Config(f"{kind} -O2 -flto", compiler, ["-O2", "-flto"], linker))
        if not all_of_them:
            continue
        result.append(Config(f"{kind} -O1 -g", compiler, ["-O1", "-g"]))
        result.append(Config(f"{kind} -O3 -march=x86-64-v3", compiler, ["-O3", "-march=x86-64-v3"]))
        result.append(Config(f"{kind} -Os", compiler, ["-Os"]))
        result.append(
            Config(f"{kind} -O0 no-pie", compiler, ["-O0", "-fno-pie"], ["-no-pie"]))
        result.append(
            Config(f"{kind} -O2 no-pie", compiler, ["-O2", "-fno-pie"], ["-no-pie"]))
        result.append(Config(f"{kind} -O2 static", compiler, ["-O2"], ["-static"], optional=True))
        result.append(
            Config(f"{kind} -O2 shared object", compiler, ["-O2", "-fPIC"], ["-Wl,-rpath,$ORIGIN"],
                   shared=True))
        result.append(
            Config(f"{kind} -O2 CET, sections, RELR", compiler,
                   ["-O2", "-fcf-protection=full", "-ffunction-sections", "-fdata-sections"],
                   ["-Wl,-z,now", "-Wl,-z,pack-relative-relocs"]))
        result.append(
            Config(f"{kind} -O2 lld --icf=all", compiler,
                   ["-O2", "-ffunction-sections", "-fdata-sections"],
                   ["-fuse-ld=lld", "-Wl,--icf=all"]))
    return result


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise RuntimeError(" ".join(command) + "\n" + done.stdout)
    return done.stdout


class Builder:
    """Builds the sample in one configuration; objects without edits are built once."""

    def __init__(self, config, options, directory):
        self.config = config
        self.options = options
        self.directory = directory
        self.serial = 0
        os.makedirs(directory)
        includes = [f"-I{d}" for d in options.include]
        self.main = os.path.join(directory, "main.o")
        pic = [f for f in config.compile_flags if f in ("-fno-pie", "-fPIC")]
        run([config.compiler, "-std=c++20", "-O1", *pic, *includes, "-c",
             os.path.join(HERE, "main.cpp"), "-o", self.main])
        self.base = {unit: self.compile(unit, [], "base") for unit in ("sample", "other", "extra")}

    def compile(self, unit, macros, tag, source=None):
        target = os.path.join(self.directory, f"{unit}-{tag}.o")
        run([self.config.compiler, "-std=c++20", *self.config.compile_flags, f"-I{HERE}",
             *[f"-D{m}" for m in macros], "-c", source or os.path.join(HERE, unit + ".cpp"), "-o",
             target])
        return target

    def program(self, number, unit, macros):
        tag = f"v{number}"
        objects = [self.base["sample"], self.base["other"]]
        if unit in ("sample", "other"):
            objects = [self.compile(u, macros, tag) if u == unit else self.base[u]
                       for u in ("sample", "other")]
        elif unit == "@extra":
            objects = objects + [self.base["extra"]]
        elif unit == "@extra_front":
            objects = [self.base["extra"]] + objects
        elif unit == "@order":
            objects = objects[::-1]
        elif unit == "@lines":
            source = os.path.join(self.directory, f"sample-{tag}.cpp")
            with open(os.path.join(HERE, "sample.cpp"), encoding="utf-8") as file:
                text = file.read().replace("\n\n", "\n// A comment.\n\n\n").replace("  ", "    ")
            with open(source, "w", encoding="utf-8") as file:
                file.write(text)
            objects[0] = self.compile("sample", [], tag, source)
        elif unit == "@all":
            every = [m for _, u, ms in IRRELEVANT if u == "sample" for m in ms
                     if not m.startswith(("U_REMOVED", "U_STRING=\"some "))]
            objects = [self.base["extra"], self.compile("other", ["U_OTHER=9", "U_OTHER_BEFORE"], tag),
                       self.compile("sample", every, tag)]
        program = os.path.join(self.directory, f"program-{tag}")
        inputs = objects
        if self.config.shared:
            library = os.path.join(self.directory, f"libsample-{tag}.so")
            run([self.config.compiler, *self.config.compile_flags, "-shared", "-o", library,
                 *objects])
            inputs = [library]
        run([self.config.compiler, *self.config.compile_flags, "-o", program, self.main, *inputs,
             *self.config.link_flags, *self.options.link])
        return program


def fingerprint_of(program):
    words = run([program]).split()
    if words[1] != "exact":
        raise RuntimeError(f"{program}: the fingerprint isn't exact")
    return words[0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--include", action="append", default=[])
    parser.add_argument("--link", action="append", default=[])
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--keep", default="")
    options = parser.parse_args()

    begin = time.time()
    root = options.keep or tempfile.mkdtemp(prefix="hoist-mutation-")
    configs = [c for c in configurations(options.all) if options.only in ("", c.name)]
    relevant, irrelevant = RELEVANT[::options.every], IRRELEVANT[::options.every]
    variants = [(*v, True) for v in relevant] + [(*v, False) for v in irrelevant]
    results = {}  # (variant, config) -> kept?
    failed = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        def measure(builder, reference, number):
            name, unit, macros, _ = variants[number]
            program = builder.program(number, unit, macros)
            kept = fingerprint_of(program) == reference
            if not options.keep:
                os.remove(program)
            return kept

        for index, config in enumerate(list(configs)):
            builder = Builder(config, options, os.path.join(root, config.name.replace(" ", "")))
            try:
                program = builder.program(-1, "", [])
            except RuntimeError:
                if not config.optional:
                    raise
                print(f"{config.name} can't be linked here: skipped")
                configs.remove(config)
                continue
            index = configs.index(config)
            reference = fingerprint_of(program)
            # Other addresses in each run.
            if any(fingerprint_of(program) != reference for _ in range(3)):
                failed.append(f"{config.name}: the fingerprint differs from run to run")
            if shutil.which("strip") and not config.shared:
                stripped = program + "-stripped"
                run(["strip", "-o", stripped, program])
                if run([stripped]).split()[1] != "inexact":
                    failed.append(f"{config.name}: exact though stripped")
            futures = [pool.submit(measure, builder, reference, n) for n in range(len(variants))]
            for number, future in enumerate(futures):
                results[number, index] = future.result()
    if not options.keep:
        shutil.rmtree(root)

    for index, config in enumerate(configs):
        print(f"{index + 1:3}: {config.name}")
    width = max(len(v[0]) for v in variants)
    header = " ".join(f"{i + 1:>4}" for i in range(len(configs)))
    for kind_shown, title in ((True, "relevant edits: must miss"), (False, "irrelevant edits: should hit")):
        print(f"\n{title:{width}} {header}")
        for number, (name, _, _, kind) in enumerate(variants):
            if kind != kind_shown:
                continue
            cells = []
            for index, config in enumerate(configs):
                kept = results[number, index]
                wrong = kept == kind_shown
                cells.append(("HIT!" if kept else "MISS") if wrong else ("hit" if kept else "miss"))
                if wrong and kind_shown:
                    failed.append(f"{config.name}: unnoticed: {name}")
            print(f"{name:{width}} " + " ".join(f"{c:>4}" for c in cells))
    print()
    for index, config in enumerate(configs):
        missed = sum(not results[n, index] for n, v in enumerate(variants) if v[3])
        hit = sum(results[n, index] for n, v in enumerate(variants) if not v[3])
        print(f"{config.name:32} relevant {missed}/{len(relevant)} missed, "
              f"irrelevant {hit}/{len(irrelevant)} hit")
        if hit < 0.95 * len(irrelevant):
            failed.append(f"{config.name}: only {hit} of {len(irrelevant)} irrelevant edits hit")
    print(f"{len(configs) * len(variants)} variants in {time.time() - begin:.0f} s")
    for line in failed:
        print("FAILED", line)
    return 1 if failed or not configs else 0


if __name__ == "__main__":
    sys.exit(main())
