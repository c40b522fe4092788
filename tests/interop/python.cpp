// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#include <hoist/array.hpp>
#include <hoist/codec.hpp>
#include <hoist/dtype.hpp>
#include <hoist/dump.hpp>
#include <hoist/value.hpp>

#include <complex>
#include <map>
#include <string>
#include <vector>

#include "support/bytes.hpp"
#include "support/peak_memory.hpp"
#include "support/python.hpp"
#include "support/sanitized.hpp"
#include "support/temp_dir.hpp"

using hoist::Array;
using hoist::dump;
using hoist::load;
using hoist::MmapMode;
using hoist::Order;
using hoist::Value;
using support::python;
using support::TempDir;

namespace {

struct Sample {
  std::int8_t id = 0;
  double weight = 0;
  std::array<float, 2> place{};
  bool good = false;
  bool operator==(const Sample&) const = default;
};

struct Inner {
  std::string name;
  std::vector<int> numbers;
  bool operator==(const Inner&) const = default;
};

struct Model {
  int depth = 0;
  double rate = 0;
  std::string label;
  std::optional<double> limit;
  std::vector<double> weights;
  Array<float> image;
  std::map<std::string, Inner> parts;
  std::vector<std::string> words;
  std::complex<double> z;
  std::pair<int, bool> pair;
  bool operator==(const Model&) const = default;
};

struct Arrays {
  Array<double> c, f;
  std::vector<int> numbers;
  double rate = 0;
  std::string label;
  bool operator==(const Arrays&) const = default;
};

Array<double> matrix(Order order = Order::c) {
  auto array = Array<double>::uninitialized({3, 4}, order);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 4; ++j) array(i, j) = static_cast<double>(10 * i + j);
  }
  return array;
}

Model model() {
  Model m{.depth = 5,
          .rate = 0.125,
          .label =
              "Stra\xC3\x9F"
              "e",
          .limit = {},
          .weights = {1, 2, 3},
          .image = Array<float>({2, 2}, Order::fortran),
          .parts = {{"a", {"first", {1, 2}}}, {"b", {"second", {}}}},
          .words = {"x", "y"},
          .z = {1, -1},
          .pair = {7, true}};
  m.image(0, 1) = 1.5F;
  return m;
}

const std::string model_in_python = R"(
import numpy as np
def same_model(m):
    assert list(m) == ['depth', 'rate', 'label', 'limit', 'weights', 'image', 'parts', 'words', 'z',
                       'pair'], list(m)
    assert m['depth'] == 5 and m['rate'] == 0.125 and m['label'] == 'Straße' and m['limit'] is None
    assert m['weights'].dtype == 'f8' and m['weights'].tolist() == [1, 2, 3]
    assert m['image'].dtype == 'f4' and m['image'].tolist() == [[0, 1.5], [0, 0]]
    assert m['image'].flags.f_contiguous
    assert m['parts']['a']['name'] == 'first' and m['parts']['a']['numbers'].tolist() == [1, 2]
    assert m['parts']['b']['numbers'].dtype == 'i4' and len(m['parts']['b']['numbers']) == 0
    assert m['words'] == ['x', 'y'] and m['z'] == 1-1j and m['pair'] == (7, True)
model = {'depth': 5, 'rate': 0.125, 'label': 'Straße', 'limit': None,
         'weights': np.array([1., 2., 3.]),
         'image': np.asfortranarray(np.array([[0, 1.5], [0, 0]], 'f4')),
         'parts': {'a': {'name': 'first', 'numbers': np.array([1, 2], 'i4')},
                   'b': {'name': 'second', 'numbers': []}},
         'words': ['x', 'y'], 'z': 1-1j, 'pair': (7, True)}
)";

/// Codecs that both sides know, with the extension that selects them.
const std::map<std::string, std::string> codecs{{"zlib", ".z"},  {"gzip", ".gz"},
                                                {"bz2", ".bz2"}, {"lzma", ".lzma"},
                                                {"xz", ".xz"},   {"lz4", ".lz4"}};

}  // namespace

TEST_CASE("joblib loads what hoist dumps, by every codec and mapped") {
  const TempDir dir;
  dump(model(), dir / "plain.joblib");
  std::string names = "'plain.joblib'";
  for (const auto& [codec, extension] : codecs) {
    dump(model(), dir / ("by_name.joblib" + extension));
    dump(model(), dir / ("asked_" + codec + ".pkl"), {.compress = {codec, 5}});
    names.append(", 'by_name.joblib").append(extension);
    names.append("', 'asked_").append(codec).append(".pkl'");
  }
  CHECK(python(dir.path(), model_in_python + R"(
import joblib
for name in [)" + names + R"(]:
    same_model(joblib.load(name))
for mode in ['r', 'c', 'r+']:
    m = joblib.load('plain.joblib', mmap_mode=mode)
    same_model(m)
    for part in m['weights'], m['image'], m['parts']['a']['numbers']:
        assert isinstance(part, np.memmap) and part.ctypes.data % 16 == 0, (mode, part)
    del m, part
)") == "");
}

TEST_CASE("hoist loads what joblib dumps, by every codec, protocol and mapped") {
  const TempDir dir;
  CHECK(python(dir.path(), model_in_python + R"(
import joblib, pickle
for name in ['plain.joblib', 'm.joblib.z', 'm.joblib.gz', 'm.joblib.bz2', 'm.joblib.lzma',
             'm.joblib.xz', 'm.joblib.lz4']:
    joblib.dump(model, name)
for protocol in range(6):
    joblib.dump(model, f'p{protocol}.joblib', protocol=protocol)
    with open(f'p{protocol}.pkl', 'wb') as f:
        pickle.dump(model, f, protocol)
)") == "");
  std::size_t seen = 0;
  for (const auto& file : std::filesystem::directory_iterator(dir.path())) {
    CAPTURE(file.path());
    CHECK(load<Model>(file.path()) == model());
    ++seen;
  }
  CHECK(seen == 7 + 2 * 6);
  const auto mapped = load<Model>(dir / "plain.joblib", {.mmap = MmapMode::copy_on_write});
  CHECK(mapped == model());
  CHECK_THROWS_AS(load<Model>(dir / "plain.joblib", {.mmap = MmapMode::read}), hoist::WrongType);
}

TEST_CASE("arrays of NumPy's own subclasses are arrays, unless more belongs to them") {
  const TempDir dir;
  CHECK(python(dir.path(), R"(
import joblib, numpy, pickle, numpy.ma
records = numpy.rec.array([(1, 2.5), (3, 4.5)], dtype=[('a', 'i4'), ('b', 'f8')])
texts = numpy.char.array(['ab', 'cde'])
for protocol in range(6):
    for name, value in ('records', records), ('texts', texts):
        joblib.dump(value, f'{name}{protocol}.joblib', protocol=protocol)
        with open(f'{name}{protocol}.pkl', 'wb') as f:
            pickle.dump(value, f, protocol)
with open('masked.pkl', 'wb') as f:
    pickle.dump(numpy.ma.array([1.0, 2.0], mask=[0, 1]), f)
)") == "");
  for (int protocol = 0; protocol < 6; ++protocol) {
    for (const char* extension : {".joblib", ".pkl"}) {
      CAPTURE(protocol);
      CAPTURE(extension);
      const std::string end = std::to_string(protocol) + extension;
      const Value records = load(dir / ("records" + end));
      REQUIRE(records.kind() == Value::Kind::array);
      CHECK(records.elements().shape == hoist::Shape{2});
      CHECK(records.dtype().fields->size() == 2);
      CHECK(records.dtype().fields->at(1).name == "b");
      CHECK(load<std::vector<std::string>>(dir / ("texts" + end)) ==
            std::vector<std::string>{"ab", "cde"});
    }
  }
  CHECK_THROWS_WITH_AS(load(dir / "masked.pkl"), doctest::Contains("numpy.ma.core"),
                       hoist::UnsafeData);
}

TEST_CASE("NumPy loads our .npy files and we load its, mapped and not") {
  const TempDir dir;
  dump(matrix(), dir / "c.npy");
  dump(matrix(Order::fortran), dir / "f.npy");
  dump(std::vector<std::int32_t>{1, -2, 3}, dir / "vector.npy");
  dump(std::vector<std::array<double, 2>>{{1, 2}, {3, 4}, {5, 6}}, dir / "rows.npy");
  dump(2.5, dir / "scalar.npy");
  Array<Sample> samples({3});
  samples[1] = {3, 0.5, {1, 2}, true};
  dump(samples, dir / "samples.npy");
  Array<bool> flags({2, 2});
  flags(0, 1) = true;
  dump(flags, dir / "flags.npy");
  Array<hoist::Float16> halves({2});
  halves[1] = hoist::Float16(1.5F);
  dump(halves, dir / "halves.npy");
  Array<std::complex<float>> waves({2});
  waves[0] = {1, 2};
  dump(waves, dir / "waves.npy");
  Array<hoist::FixedString<3>> tags({2});
  tags[1] = "xyz";
  dump(tags, dir / "tags.npy");
  Array<hoist::FixedString<5, char32_t>> words({2});
  words[0] = U"\u00dfab";
  dump(words, dir / "words.npy");
  dump(Array<double>({0, 4}), dir / "empty.npy");
  dump(matrix(), dir / "z.npy.gz");
  CHECK(python(dir.path(), R"(
import numpy as np, gzip
want = np.arange(3)[:, None] * 10. + np.arange(4)
for mode in [None, 'r', 'c', 'r+']:
    c, f = np.load('c.npy', mmap_mode=mode), np.load('f.npy', mmap_mode=mode)
    assert (c == want).all() and c.flags.c_contiguous and c.dtype == '<f8'
    assert (f == want).all() and f.flags.f_contiguous
    assert mode is None or c.ctypes.data % 64 == 0
    del c, f
assert np.load('vector.npy').tolist() == [1, -2, 3] and np.load('vector.npy').dtype == 'i4'
assert np.load('rows.npy').tolist() == [[1, 2], [3, 4], [5, 6]]
assert np.load('scalar.npy').shape == () and np.load('scalar.npy') == 2.5
s = np.load('samples.npy')
assert s.dtype.itemsize == 32 and s.dtype.names == ('id', 'weight', 'place', 'good'), s.dtype
assert s[1]['id'] == 3 and s[1]['weight'] == 0.5
assert s[1]['place'].tolist() == [1, 2] and s[1]['good']
assert np.load('flags.npy').dtype == bool
assert np.load('flags.npy').tolist() == [[False, True], [False, False]]
assert np.load('halves.npy').dtype == 'f2' and np.load('halves.npy').tolist() == [0, 1.5]
assert np.load('waves.npy').dtype == 'c8' and np.load('waves.npy').tolist() == [1+2j, 0]
assert np.load('tags.npy').dtype == 'S3' and np.load('tags.npy').tolist() == [b'', b'xyz']
assert np.load('words.npy').dtype == 'U5' and np.load('words.npy').tolist() == ['ßab', '']
assert np.load('empty.npy').shape == (0, 4)
assert (np.load(gzip.open('z.npy.gz')) == want).all()

packed = np.zeros(3, [('good', '?'), ('id', 'i1'), ('weight', '>f8'), ('place', 'f4', 2)])
for name in packed.dtype.names:
    packed[name] = s[name]
for name, a in dict(c=want, f=np.asfortranarray(want), big=want.astype('>f8'), packed=packed,
                    aligned=s, flags=np.load('flags.npy'), halves=np.load('halves.npy'),
                    waves=np.load('waves.npy'),
                    tags=np.load('tags.npy'), words=np.load('words.npy').astype('>U5'),
                    times=np.array(['2024-01-01', 'NaT'], 'M8[D]')).items():
    np.save('py_' + name, a)
)") == "");
  for (const auto mode :
       {MmapMode::none, MmapMode::read, MmapMode::copy_on_write, MmapMode::read_write}) {
    const hoist::LoadOptions options{.mmap = mode};
    CHECK(load<Array<const double>>(dir / "py_c.npy", options) == Array<const double>(matrix()));
    const auto f = load<Array<const double>>(dir / "py_f.npy", options);
    CHECK(f == Array<const double>(matrix()));
    CHECK(f.order() == Order::fortran);
    CHECK(load<Array<const Sample>>(dir / "py_aligned.npy", options)[1] == samples[1]);
  }
  CHECK(load<Array<double>>(dir / "py_big.npy") == matrix());
  CHECK_THROWS_WITH_AS(load<Array<double>>(dir / "py_big.npy", {.mmap = MmapMode::copy_on_write}),
                       doctest::Contains("load it without mmap"), hoist::WrongType);
  CHECK(load<Array<Sample>>(dir / "py_packed.npy") == samples);
  CHECK(load<Array<bool>>(dir / "py_flags.npy") == flags);
  CHECK(load<Array<hoist::Float16>>(dir / "py_halves.npy") == halves);
  CHECK(load<Array<std::complex<float>>>(dir / "py_waves.npy") == waves);
  CHECK(load<Array<hoist::FixedString<3>>>(dir / "py_tags.npy") == tags);
  CHECK(load<Array<hoist::FixedString<5, char32_t>>>(dir / "py_words.npy") == words);
  CHECK(load<Array<std::int64_t>>(dir / "py_times.npy")[0] == 19723);
  CHECK(load<Value>(dir / "py_times.npy").dtype().text() == "<M8[D]");
  CHECK(load<std::vector<std::array<double, 4>>>(dir / "py_f.npy")[2][3] == 23);
  CHECK_THROWS_WITH_AS(load<Array<float>>(dir / "py_c.npy"), doctest::Contains("<f8"),
                       hoist::WrongType);
  CHECK_THROWS_WITH_AS(load<Array<double>>(dir / "py_c.npy", {.mmap = MmapMode::read}),
                       doctest::Contains("Array<const T>"), hoist::WrongType);
  auto common = load<Array<double>>(dir / "py_c.npy", {.mmap = MmapMode::read_write});
  common(2, 3) = -1;
  CHECK(load<Array<double>>(dir / "py_c.npy")(2, 3) == -1);
}

TEST_CASE("single texts of NumPy's are what they were, whatever they are loaded as") {
  struct Texts {
    std::string plain, wide, big;
    std::optional<std::string> empty;
    std::string nul, raw;
    bool operator==(const Texts&) const = default;
  };
  const TempDir dir;
  CHECK(python(dir.path(), R"(
import numpy as np
texts = dict(plain=np.array('a' * 5000 + 'é'), wide=np.array('é' * 5000 + '🍋' * 20000),
             big=np.array('aé中' * 6000).astype('>U20000'), empty=np.array(''),
             nul=np.array('\0a\0b\0\0'), raw=np.array(b'\xff' * 5000 + b'\0x\0'))
np.savez('all.npz', **texts)
np.savez_compressed('packed.npz', **texts)
np.save('wide.npy', texts['wide'])
)") == "");
  const auto times = [](std::string_view unit, int n) {
    std::string all;
    for (int i = 0; i < n; ++i) all += unit;
    return all;
  };
  const Texts want{times("a", 5000) + "\xC3\xA9",
                   times("\xC3\xA9", 5000) + times("\xF0\x9F\x8D\x8B", 20000),
                   times("a\xC3\xA9\xE4\xB8\xAD", 6000),
                   "",
                   std::string("\0a\0b", 4),
                   times("\xFF", 5000) + std::string("\0x", 2)};
  for (const char* name : {"all.npz", "packed.npz"}) {
    CHECK((load<Texts>(dir / name) == want));
    const auto map = load<std::map<std::string, std::string>>(dir / name);
    CHECK((map.at("wide") == want.wide));
    CHECK((map.at("nul") == want.nul));
    const Value value = load<Value>(dir / name);
    CHECK(value["wide"].dtype().text() == "<U25000");
    CHECK((value["wide"].to<std::string>() == want.wide));
    CHECK((value.to<Texts>() == want));
  }
  CHECK((load<std::string>(dir / "wide.npy") == want.wide));
  CHECK_THROWS_AS(load<double>(dir / "wide.npy"), hoist::WrongType);
  dump(std::tuple(want.wide, 1.5, want.nul), dir / "tuple.npz");
  CHECK((load<std::tuple<std::string, double, std::string>>(dir / "tuple.npz") ==
         std::tuple(want.wide, 1.5, want.nul)));
  dump(want.wide, dir / "again.npz");
  CHECK((load<std::string>(dir / "again.npz") == want.wide));
  CHECK(python(dir.path(), R"(
import numpy as np
assert str(np.load('again.npz')['arr_0']) == str(np.load('wide.npy'))
)") == "");
  std::string bad = support::slurp(dir / "wide.npy");
  bad[bad.size() - 2] = '\x7F';
  support::spill(dir / "bad.npy", bad);
  CHECK_THROWS_AS(load<std::string>(dir / "bad.npy"), hoist::DamagedData);
  support::spill(dir / "bad.npy", bad.substr(0, bad.size() - 5));
  CHECK_THROWS_AS(load<std::string>(dir / "bad.npy"), hoist::DamagedData);
}

TEST_CASE("NumPy loads our .npz files and we load its") {
  const Arrays arrays{matrix(), matrix(Order::fortran), {1, 2}, 0.5, "text"};
  const TempDir dir;
  dump(arrays, dir / "stored.npz");
  dump(arrays, dir / "deflated.npz", {.compress = true});
  dump(std::map<std::string, Array<double>>{{"\xC3\xA9/x", matrix()}}, dir / "map.npz");
  dump(std::map<std::string, int>{}, dir / "empty.npz");
  CHECK_THROWS_WITH_AS(
      dump(std::map<std::string, std::vector<std::string>>{{"w", {"a"}}}, dir / "no.npz"),
      doctest::Contains("\"w\" is a list"), hoist::BadArgument);
  CHECK(python(dir.path(), R"(
import numpy as np, zipfile
want = np.arange(3)[:, None] * 10. + np.arange(4)
for name in 'stored.npz', 'deflated.npz':
    assert zipfile.ZipFile(name).testzip() is None
    z = np.load(name)
    assert z.files == ['c', 'f', 'numbers', 'rate', 'label']
    assert (z['c'] == want).all() and (z['f'] == want).all() and z['f'].flags.f_contiguous
    assert z['numbers'].tolist() == [1, 2] and z['rate'] == 0.5 and str(z['label']) == 'text'
assert np.load('map.npz').files == ['é/x']
assert np.load('empty.npz').files == []
parts = dict(c=want, f=np.asfortranarray(want), numbers=np.array([1, 2], 'i4'), rate=0.5,
             label='text')
np.savez('py_stored.npz', **parts)
np.savez_compressed('py_deflated.npz', **parts)
)") == "");
  for (const char* name : {"stored.npz", "deflated.npz", "py_stored.npz", "py_deflated.npz"}) {
    CAPTURE(name);
    CHECK(load<Arrays>(dir / name) == arrays);
    CHECK_THROWS_WITH_AS(load<Arrays>(dir / name, {.mmap = MmapMode::read}),
                         doctest::Contains("can't be mapped"), hoist::BadArgument);
  }
  CHECK(load<std::map<std::string, Array<double>>>(dir / "map.npz").size() == 1);
  CHECK(load<Value>(dir / "empty.npz").size() == 0);
}

TEST_CASE("large arrays pass through every format") {
  const TempDir dir;
  auto big = Array<float>::uninitialized({3, std::size_t{3} << 20});
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<float>(i % 1000);
  for (const char* name : {"b.npy", "b.joblib", "b.npz", "b.npy.gz", "b.hoist"}) {
    CAPTURE(name);
    dump(big, dir / name);
    CHECK(load<Array<float>>(dir / name) == big);
  }
  CHECK(python(dir.path(), R"(
import numpy as np, joblib
want = (np.arange(9 << 20) % 1000).astype('f4').reshape(3, -1)
assert (np.load('b.npy') == want).all() and (joblib.load('b.joblib') == want).all()
assert (np.load('b.npz')['arr_0'] == want).all()
)") == "");
}

// The bytes of an array in a plain pickle were read and then copied into the array; up to protocol
// 2 they are text, which was in memory as well.
TEST_CASE("the arrays of a plain pickle are in memory once") {
  const TempDir dir;
  CHECK(python(dir.path(), R"(
import gzip, pickle, numpy as np
a = np.zeros((6 << 20))
a[:1000] = np.arange(1000)
for protocol in range(6):
    with open(f'p{protocol}.pkl', 'wb') as f:
        pickle.dump(a, f, protocol)
with gzip.open('p4.pkl.gz', 'wb', 1) as f:
    pickle.dump(a, f, 4)
random = np.random.default_rng(1).bytes(48 << 20)
for protocol in range(3):
    with open(f'random{protocol}.pkl', 'wb') as f:
        pickle.dump(np.frombuffer(random, 'u8'), f, protocol)
# As Python 2 writes it: text and bytes are one.
n = (48 << 20).to_bytes(4, 'little')
with open('random.py2.pkl', 'wb') as f:
    f.write(b'\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nq\x01K\x00'
            b'\x85U\x01b\x87R(K\x01J' + (6 << 20).to_bytes(4, 'little')
            + b'\x85cnumpy\ndtype\nU\x02u8K\x00K\x01\x87R(K\x03U\x01<NNN'
            b'J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T' + n + random + b'tb.')
np.save('random.npy', np.frombuffer(random, 'u8'))
with open('bytes.pkl', 'wb') as f:
    pickle.dump([bytes(48 << 20), bytearray(b'ab' * 3000)], f, 5)
b = np.arange(10000, dtype='>i4')
with open('several.pkl', 'wb') as f:
    pickle.dump([b, b, b.astype('c16').reshape(100, 100).T, b.tobytes()], f, 4)
)") == "");
  constexpr std::size_t mib = std::size_t{1} << 20;
  if (!support::sanitized) {
    for (const char* name :
         {"p0.pkl", "p1.pkl", "p2.pkl", "p3.pkl", "p4.pkl", "p5.pkl", "p4.pkl.gz"}) {
      CAPTURE(name);
      CHECK(support::peak_growth([&] {
              const auto array = load<Array<double>>(dir / name);
              if (array.size() != 6 * mib || array[999] != 999) throw 0;
            }) < (48 + 32) * mib);
    }
    CHECK(support::peak_growth([&] { (void)load<Value>(dir / "bytes.pkl"); }) < (48 + 32) * mib);
    for (const char* name : {"random0.pkl", "random1.pkl", "random2.pkl", "random.py2.pkl"}) {
      CAPTURE(name);
      CHECK(support::peak_growth([&] {
              if (load<Array<std::uint64_t>>(dir / name).size() != 6 * mib) throw 0;
            }) < (48 + 32) * mib);
    }
  }
  const auto random = load<Array<std::uint64_t>>(dir / "random.npy");
  for (const char* name : {"random0.pkl", "random1.pkl", "random2.pkl", "random.py2.pkl"}) {
    CAPTURE(name);
    CHECK((load<Array<std::uint64_t>>(dir / name) == random));
  }
  CHECK(load<Array<double>>(dir / "p5.pkl")[999] == 999);
  const Value bytes = load<Value>(dir / "bytes.pkl");
  CHECK(bytes[0].size() == 48 * mib);
  CHECK(bytes[1].as_bytes().substr(5990) == "ababababab");
  const Value several = load<Value>(dir / "several.pkl");
  CHECK(several[0].node() == several[1].node());
  CHECK(several[2].as_array<std::complex<double>>()(7, 99) == 9907.0);
  CHECK(several[3].as_bytes().substr(39996) == std::string_view("\0\0\x27\x0F", 4));
  dump(several, dir / "again.hoist");
  CHECK(load<Value>(dir / "again.hoist") == several);
}

TEST_CASE("large texts and bytes come and go by every protocol") {
  const TempDir dir;
  CHECK(python(dir.path(), R"(
import pickle, random, joblib
random.seed(1)
latin = ''.join(map(chr, random.choices(range(256), k=70001)))
texts = [unit * n for unit in ('a', 'é', '中', '🍋', '\\\n\r\0\x1a"\'u0041')
         for n in (1, 4095, 5000, 70000)] + [latin]
texts += [latin[:k] + '中' + latin for k in (0, 4000, 50000, 70000)]
texts += ['a' * k + '中é' for k in (4095, 65535, 65536)]
texts += [t.encode('latin-1') for t in texts if max(t) < '\u0100']
for protocol in range(6):
    with open(f'{protocol}.pkl', 'wb') as f:
        pickle.dump(texts, f, protocol)
joblib.dump(texts, 'want.joblib')
)") == "");
  const Value want = load<Value>(dir / "want.joblib");
  for (const char* name : {"0.pkl", "1.pkl", "2.pkl", "3.pkl", "4.pkl", "5.pkl"}) {
    CAPTURE(name);
    const Value got = load<Value>(dir / name);
    CHECK((got == want));
    dump(got, dir / (std::string("again") + name));
  }
  CHECK(python(dir.path(), R"(
import joblib
want = joblib.load('want.joblib')
for protocol in range(6):
    assert joblib.load(f'again{protocol}.pkl') == want, protocol
)") == "");
}

TEST_CASE("what a Value holds several times is one object for joblib") {
  const TempDir dir;
  const Value list = Value::list({1, 2}), array(matrix()), dict = Value::dict({{"a", array}});
  const Value all = Value::list(
      {list, array, dict, list, array, dict, Value::objects({2}, Order::c, {dict, dict})});
  std::string names;
  for (const std::string extension : {"", ".z", ".gz", ".bz2", ".lzma", ".xz", ".lz4"}) {
    dump(all, dir / ("shared.joblib" + extension));
    names += "'shared.joblib" + extension + "', ";
  }
  CHECK(python(dir.path(), R"(
import joblib, numpy as np
for name in [)" + names + R"(]:
    for mode in None, 'r', 'c':
        if mode and name != 'shared.joblib': continue
        v = joblib.load(name, mmap_mode=mode)
        assert v[0] == [1, 2] and (v[1] == np.arange(3)[:, None] * 10. + np.arange(4)).all()
        assert v[0] is v[3] and v[1] is v[4] and v[2] is v[5] and v[2]['a'] is v[1]
        assert v[6].dtype == object and v[6][0] is v[6][1] and (v[6][0]['a'] == v[1]).all()
        assert mode is None or isinstance(v[4], np.memmap)
)") == "");
}
