
import time, numpy
from joblib import Parallel, delayed
def f(a, i): return a[i]
a = numpy.arange(1 << 27, dtype=float)
with Parallel(n_jobs=2) as p:
    p(delayed(abs)(i) for i in range(4))
    for r in range(2):
        t = time.perf_counter(); p(delayed(f)(a, i * 1000) for i in range(8)); print(time.perf_counter() - t)
