// SPDX-License-Identifier: BSD-3-Clause
#include <doctest/doctest.h>
#if __has_include(<Eigen/Core>)
#include <hoist/eigen.hpp>
#include <hoist/hoist.hpp>

#include <Eigen/Geometry>

#include "support/python.hpp"
#include "support/temp_dir.hpp"

using hoist::Array;
using hoist::as_array;
using hoist::as_eigen;
using hoist::dump;
using hoist::load;
using hoist::Order;
using support::python;
using support::TempDir;

namespace {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Sparse = Eigen::SparseMatrix<double>;

Eigen::MatrixXd matrix(Eigen::Index rows = 3, Eigen::Index cols = 4) {
  Eigen::MatrixXd m(rows, cols);
  for (Eigen::Index i = 0; i < rows; ++i) {
    for (Eigen::Index j = 0; j < cols; ++j) m(i, j) = static_cast<double>(10 * i + j);
  }
  return m;
}

/// Round trips through a container (also compressed and mapped) and NumPy's and joblib's formats.
template <class M>
void check_all_ways(const M& value, bool npy = true) {
  const TempDir dir;
  for (const char* name : {"m.hoist", "m.hoist.gz", "m.joblib", "m.npy"}) {
    if (!npy && std::string(name) == "m.npy") continue;
    CAPTURE(name);
    dump(value, dir / name);
    const M back = load<M>(dir / name);
    CHECK(back.rows() == value.rows());
    CHECK(back.cols() == value.cols());
    CHECK((back.array() == value.array()).all());
    CHECK(hoist::hash(back) == hoist::hash(value));
  }
}

struct Pose {
  std::int32_t id = 0;
  Eigen::Vector3d place = Eigen::Vector3d::Zero();
  Eigen::Matrix3d turn = Eigen::Matrix3d::Identity();
  Eigen::Vector4f weights = Eigen::Vector4f::Zero();  // over-aligned
};

struct Gapped {
  float first = 0;
  Eigen::Vector4f second = Eigen::Vector4f::Zero();  // at 16, where the schema has it at 4
};

Sparse sparse() {
  Sparse m(40, 30);
  m.insert(3, 2) = 1.5;
  m.insert(39, 0) = -2;
  m.insert(0, 29) = 4;
  m.insert(7, 2) = 0.25;
  return m;
}

}  // namespace

TEST_CASE("dense matrices and vectors are values") {
  check_all_ways(matrix());
  check_all_ways(RowMatrix(matrix()));
  check_all_ways(matrix(200, 300));
  check_all_ways(Eigen::Matrix3d(matrix(3, 3)));
  check_all_ways(Eigen::VectorXd(matrix(5, 1)));
  check_all_ways(Eigen::RowVectorXd(matrix(1, 5)));
  check_all_ways(Eigen::Vector3d(1, 2, 3));
  check_all_ways(Eigen::RowVector2i(1, 2));
  check_all_ways(Eigen::VectorXcf(Eigen::VectorXcf::Random(7)));
  check_all_ways(Eigen::ArrayXXf(Eigen::ArrayXXf::Random(4, 6)));
  check_all_ways(
      Eigen::Matrix<bool, Eigen::Dynamic, 1>(Eigen::Matrix<bool, 3, 1>(true, false, true)));
  check_all_ways(Eigen::MatrixXd());
  check_all_ways(Eigen::MatrixXd(0, 4));
  check_all_ways(Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, 0, 4, 4>(matrix(2, 3)));
}

TEST_CASE("a matrix is stored and hashed as the array of its shape and order") {
  const TempDir dir;
  const Eigen::MatrixXd m = matrix();
  Array<double> same({3, 4}, Order::fortran);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 4; ++j) same(i, j) = static_cast<double>(10 * i + j);
  }
  CHECK(hoist::hash(m) == hoist::hash(same));
  CHECK(hoist::hash(RowMatrix(m)) != hoist::hash(same));  // as arrays of other order
  const Eigen::VectorXd v = m.col(0);
  CHECK(hoist::hash(v) == hoist::hash(Array<double>::from_vector({0, 10, 20})));
  const Eigen::Vector3d fixed = v;
  CHECK(hoist::hash(fixed) == hoist::hash(std::array<double, 3>{0, 10, 20}));

  dump(m, dir / "m.hoist");
  CHECK(load<Array<double>>(dir / "m.hoist") == same);
  CHECK(load<RowMatrix>(dir / "m.hoist") == RowMatrix(m));
  CHECK(load<Eigen::Matrix<double, 3, 4>>(dir / "m.hoist") == m);
  CHECK_THROWS_AS(load<Eigen::Matrix3d>(dir / "m.hoist"), hoist::WrongType);
  CHECK_THROWS_AS(load<Eigen::VectorXd>(dir / "m.hoist"), hoist::WrongType);
  CHECK_THROWS_AS(load<Eigen::MatrixXf>(dir / "m.hoist"), hoist::WrongType);
  CHECK_THROWS_AS(
      (load<Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, 0, 2, 9>>(dir / "m.hoist")),
      hoist::WrongType);
  dump(same.copy().transposed().copy(), dir / "t.npy");
  CHECK(load<Eigen::MatrixXd>(dir / "t.npy") == m.transpose());
}

TEST_CASE("matrices inside structs and containers") {
  const TempDir dir;
  std::vector<Pose> poses(300);
  for (std::size_t i = 0; i < poses.size(); ++i) {
    poses[i].id = static_cast<int>(i);
    poses[i].place = Eigen::Vector3d(1, 2, static_cast<double>(i));
    poses[i].turn(0, 2) = static_cast<double>(i);
    poses[i].weights[3] = 0.5F;
  }
  const std::vector<Eigen::Vector3d> points(1000, Eigen::Vector3d(1, 2, 3));
  const std::vector<Eigen::Vector4f> aligned(1000, Eigen::Vector4f(1, 2, 3, 4));
  for (const char* name : {"v.hoist", "v.hoist.zst", "v.joblib"}) {
    CAPTURE(name);
    dump(poses, dir / name);
    const auto back = load<std::vector<Pose>>(dir / name);
    REQUIRE(back.size() == 300);
    CHECK(back[299].place == poses[299].place);
    CHECK(back[299].turn == poses[299].turn);
    CHECK(back[299].weights == poses[299].weights);
    dump(points, dir / name);
    CHECK(load<std::vector<Eigen::Vector3d>>(dir / name) == points);
    CHECK(load<std::vector<std::array<double, 3>>>(dir / name)[999][2] == 3);
    CHECK(load<hoist::Value>(dir / name).shape() == hoist::Shape{1000, 3});
    dump(aligned, dir / name);
    CHECK(load<std::vector<Eigen::Vector4f>>(dir / name) == aligned);
  }
}

TEST_CASE("over-aligned members leave no gaps in files") {
  const TempDir dir;
  struct Plain {
    float first = 0;
    std::array<float, 4> second{};
  };
  for (const std::size_t n : {3UL, 500UL}) {
    std::vector<Gapped> gapped(n);
    gapped.back() = {7, Eigen::Vector4f(1, 2, 3, 4)};
    for (const char* name : {"g.hoist", "g.joblib"}) {
      dump(gapped, dir / name);
      const auto plain = load<std::vector<Plain>>(dir / name);
      CHECK(plain.back().first == 7);
      CHECK(plain.back().second[3] == 4);
      const auto back = load<std::vector<Gapped>>(dir / name);
      CHECK(back.back().second == gapped.back().second);
      dump(plain, dir / name);
      CHECK(load<std::vector<Gapped>>(dir / name).back().second == gapped.back().second);
      CHECK(load<std::deque<Gapped>>(dir / name).back().second == gapped.back().second);
      CHECK(load<hoist::Value>(dir / name).dtype().itemsize == 20);
    }
    CHECK(hoist::hash(gapped) == hoist::hash(load<std::vector<Gapped>>(dir / "g.hoist")));
  }
}

TEST_CASE("arrays and matrices refer to one another's elements") {
  Eigen::MatrixXd m = matrix();
  const Array<double> array = as_array(m);
  CHECK(array.data() == m.data());
  CHECK(array.shape() == hoist::Shape{3, 4});
  CHECK(array.order() == Order::fortran);
  CHECK(array(2, 1) == 21);
  const Eigen::MatrixXd& read_only = m;
  static_assert(std::is_same_v<decltype(as_array(read_only)), Array<const double>>);
  CHECK(as_array(read_only)(1, 3) == 13);

  const double* before = m.data();
  const Array<double> owning = as_array(std::move(m));
  CHECK(owning.data() == before);
  CHECK(owning(2, 1) == 21);
  CHECK(as_array(Eigen::VectorXd(Eigen::VectorXd::Ones(4))).shape() == hoist::Shape{4});

  auto map = as_eigen<Eigen::MatrixXd>(owning);
  map(2, 1) = 5;
  CHECK(owning(2, 1) == 5);
  CHECK(as_eigen(owning)(2, 1) == 5);
  const Array<const double> constant = owning;
  static_assert(std::is_same_v<decltype(as_eigen<Eigen::MatrixXd>(constant)),
                               Eigen::Map<const Eigen::MatrixXd>>);
  CHECK(as_eigen<Eigen::MatrixXd>(constant).sum() == as_eigen(constant).sum());

  const auto c_order = Array<double>::from_vector({1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(as_eigen<RowMatrix>(c_order)(1, 0) == 4);
  CHECK(as_eigen(c_order)(1, 0) == 4);
  const auto rows = c_order.slice(1, 0, 3, 2);
  CHECK(as_eigen(rows) == Eigen::Matrix2d((Eigen::Matrix2d() << 1, 3, 4, 6).finished()));
  CHECK_THROWS_AS(as_eigen<Eigen::MatrixXd>(c_order), hoist::BadArgument);
  CHECK_THROWS_AS(as_eigen<Eigen::MatrixXd>(rows), hoist::BadArgument);
  CHECK_THROWS_AS(as_eigen<Eigen::VectorXd>(c_order), hoist::WrongType);
  const auto line = Array<double>::from_vector({1, 2, 3});
  CHECK(as_eigen<Eigen::Vector3d>(line) == Eigen::Vector3d(1, 2, 3));
  CHECK(as_eigen(line).cols() == 1);
  const Array<double> cube({1, 2, 2});
  CHECK_THROWS_AS(as_eigen(cube), hoist::BadArgument);
}

TEST_CASE("a Ref hashes, is dumped and travels as the matrix that it shows") {
  using Ref = Eigen::Ref<const Eigen::MatrixXd>;
  const TempDir dir;
  const Eigen::MatrixXd m = matrix();
  const Ref whole(m);
  const Ref part = m.topRows(2);
  CHECK(hoist::hash(whole) == hoist::hash(m));
  CHECK(hoist::hash(part) == hoist::hash(Eigen::MatrixXd(part)));
  const Eigen::VectorXd v = m.col(1);
  CHECK(hoist::hash(Eigen::Ref<const Eigen::VectorXd>(m.col(1))) == hoist::hash(v));
  const Eigen::Ref<const Eigen::VectorXd, 0, Eigen::InnerStride<>> row(m.row(1).transpose());
  CHECK(hoist::hash(row) == hoist::hash(Eigen::VectorXd(m.row(1))));
  const Eigen::Vector3d point(1, 2, 3);
  CHECK(hoist::hash(Eigen::Ref<const Eigen::Vector3d>(point)) == hoist::hash(point));
  dump(part, dir / "m.hoist");
  CHECK(load<Eigen::MatrixXd>(dir / "m.hoist") == part);
  const Eigen::MatrixXd large = matrix(300, 200);
  dump(Ref(large.topRows(299)), dir / "m.hoist");
  CHECK(load<Eigen::MatrixXd>(dir / "m.hoist") == large.topRows(299));

  const auto sum = [](const Ref& shown) { return shown.sum(); };
  auto cached = hoist::Memory(dir / "cache").cache(+sum);
  CHECK(cached(m) == m.sum());
  CHECK(cached(part) == part.sum());
  CHECK(cached.check_call_in_cache(m));
  CHECK_FALSE(cached.check_call_in_cache(large));
  for (const auto& backend : {"threads", "fork", "spawn"}) {
    CAPTURE(backend);
    hoist::Parallel parallel({.n_jobs = 2, .backend = backend});
    const auto sums = parallel(hoist::delayed(+sum)(whole), hoist::delayed(+sum)(part));
    CHECK(std::get<0>(sums) == m.sum());
    CHECK(std::get<1>(sums) == part.sum());
  }
}

TEST_CASE("rotations and transforms") {
  const TempDir dir;
  const Eigen::Quaterniond q(Eigen::AngleAxisd(0.5, Eigen::Vector3d::UnitX()));
  Eigen::Isometry3d pose = Eigen::Isometry3d::Identity();
  pose.rotate(q);
  pose.translation() = Eigen::Vector3d(1, 2, 3);
  const std::vector<Eigen::Quaternionf> many(2000, q.cast<float>());
  CHECK(hoist::hash(q) == hoist::hash(std::array<double, 4>{q.x(), q.y(), q.z(), q.w()}));
  for (const char* name : {"q.hoist", "q.joblib"}) {
    dump(q, dir / name);
    CHECK(load<Eigen::Quaterniond>(dir / name).coeffs() == q.coeffs());
    dump(many, dir / name);
    CHECK(load<std::vector<Eigen::Quaternionf>>(dir / name).back().coeffs() == many[0].coeffs());
    dump(std::pair(pose, Eigen::Affine2f(Eigen::Affine2f::Identity())), dir / name);
    const auto back = load<std::pair<Eigen::Isometry3d, Eigen::Affine2f>>(dir / name);
    CHECK(back.first.matrix() == pose.matrix());
  }
  CHECK(hoist::hash(pose) == hoist::hash(pose.matrix()));
}

TEST_CASE("sparse matrices") {
  const TempDir dir;
  const Sparse m = sparse();
  CHECK(!m.isCompressed());
  Sparse compressed = m;
  compressed.makeCompressed();
  CHECK(hoist::hash(m) == hoist::hash(compressed));
  const Eigen::SparseMatrix<double, Eigen::RowMajor> by_rows = m;
  for (const char* name : {"s.hoist", "s.hoist.zst", "s.joblib", "s.npz"}) {
    CAPTURE(name);
    dump(m, dir / name);
    CHECK(Eigen::MatrixXd(load<Sparse>(dir / name)) == Eigen::MatrixXd(m));
    dump(by_rows, dir / name);
    CHECK(Eigen::MatrixXd(load<Sparse>(dir / name)) == Eigen::MatrixXd(m));
    dump(Sparse(), dir / name);
    CHECK(load<Sparse>(dir / name).size() == 0);
    dump(Sparse(5, 3), dir / name);
    CHECK(load<Sparse>(dir / name).rows() == 5);
    dump(std::vector<Sparse>{m, compressed}, dir / "several.hoist");
    CHECK(Eigen::MatrixXd(load<std::vector<Sparse>>(dir / "several.hoist")[0]) ==
          Eigen::MatrixXd(m));
  }
}

TEST_CASE("a sparse matrix with indices out of order is sorted, with impossible ones refused") {
  const TempDir dir;
  using Parts = hoist::detail::SparseParts<double, int>;
  const auto parts = [](std::vector<int> indptr, std::vector<int> indices) {
    return Parts{"csc",
                 {3, 2},
                 Array<int>::from_vector(std::move(indptr)),
                 Array<int>::from_vector(std::move(indices)),
                 Array<double>::from_vector({1, 2, 3})};
  };
  dump(parts({0, 2, 3}, {2, 0, 1}), dir / "s.hoist");
  const auto sorted = load<Sparse>(dir / "s.hoist");
  CHECK(sorted.coeff(2, 0) == 1);
  CHECK(sorted.coeff(0, 0) == 2);
  CHECK(sorted.innerIndexPtr()[0] == 0);
  for (const auto& bad :
       {parts({0, 2, 3}, {2, 3, 1}), parts({0, 2, 3}, {2, -1, 1}), parts({0, 4, 3}, {2, 0, 1}),
        parts({1, 2, 3}, {2, 0, 1}), parts({0, 2, 2}, {2, 0, 1}), parts({0, 3}, {2, 0, 1})}) {
    dump(bad, dir / "s.hoist");
    CHECK_THROWS_AS(load<Sparse>(dir / "s.hoist"), hoist::DamagedData);
  }
  Parts other = parts({0, 2, 3}, {2, 0, 1});
  other.format = "coo";
  dump(other, dir / "s.hoist");
  CHECK_THROWS_AS(load<Sparse>(dir / "s.hoist"), hoist::WrongType);
}

TEST_CASE("Python reads matrices as arrays, and the other way round") {
  const TempDir dir;
  dump(matrix(), dir / "m.npy");
  dump(matrix(), dir / "m.joblib");
  dump(sparse(), dir / "s.npz");
  CHECK(python(dir.path(), R"(
import numpy as np, joblib
for m in np.load('m.npy'), joblib.load('m.joblib'), joblib.load('m.joblib', mmap_mode='r'):
    assert m.shape == (3, 4) and m.flags.f_contiguous and m[2, 1] == 21
s = np.load('s.npz')
# What scipy.sparse.load_npz looks at.
assert s['format'].item() == 'csc' and tuple(s['shape']) == (40, 30)
assert s['indptr'].dtype == 'i4' and s['indptr'][-1] == 4 and s['indices'].dtype == 'i4'
dense = np.zeros((40, 30))
for j in range(30):
    for k in range(s['indptr'][j], s['indptr'][j + 1]): dense[s['indices'][k], j] = s['data'][k]
assert dense[3, 2] == 1.5 and dense[39, 0] == -2 and dense[0, 29] == 4 and dense.sum() == 3.75
np.savez('back.npz', indices=s['indices'], indptr=s['indptr'], format=np.array(b'csc'),
         shape=s['shape'], data=s['data'])
np.save('c.npy', np.arange(6.).reshape(2, 3))
)") == "");
  CHECK(Eigen::MatrixXd(load<Sparse>(dir / "back.npz")) == Eigen::MatrixXd(sparse()));
  CHECK(load<Eigen::MatrixXd>(dir / "c.npy")(1, 0) == 3);
}
#endif
