from chaincrf.compare.cost import EnergyMeter, peak_memory


def zone(path, name, energy, most=1000):
    (path / name).mkdir()
    (path / name / "energy_uj").write_text(f"{energy}\n")
    (path / name / "max_energy_range_uj").write_text(f"{most}\n")
    return path / name / "energy_uj"


def test_packages_are_added_up_and_counters_wrap(tmp_path):
    first, second = zone(tmp_path, "intel-rapl:0", 900), zone(tmp_path, "intel-rapl:1", 10)
    part = zone(tmp_path, "intel-rapl:0:0", 5)
    meter = EnergyMeter(powercap=tmp_path)
    first.write_text("100\n")  # over its end at 1000
    second.write_text("60\n")
    part.write_text("999\n")  # a part of the first
    assert round(meter.joules() * 1e6) == 200 + 50


def test_without_a_counter_nothing_is_measured(tmp_path):
    (tmp_path / "intel-rapl:0").mkdir()
    assert EnergyMeter(powercap=tmp_path).joules() is None


def test_peak_memory_is_that_of_this_process():
    assert 10**7 < peak_memory() < 10**12
