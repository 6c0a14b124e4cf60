def test_x():
    import benchmarks, policies
    print(benchmarks.__path__, policies.__path__)
    import benchmarks.plan
    import policies.idle
