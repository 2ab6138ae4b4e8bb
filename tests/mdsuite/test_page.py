"""report.html in a real browser: it loads without complaint, asks nobody for anything, sorts, filters and draws."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from campaigns import command
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))
browser_is_here = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="not run: this machine has no chromium (Debian: chromium chromium-driver)"
)
FAILING = "ase:mdsuite_driver.zoo:curl?strength=0.05&host=argon"
HOSTILE = "<script>a"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of two models, one of which fails, with a ladder of timesteps."""
    folder = tmp_path_factory.mktemp("page")
    shutil.copy(Path(__file__).parents[2] / "inputs" / "structures" / "argon.extxyz", folder / f"{HOSTILE}.extxyz")
    campaign = folder / "campaign.toml"
    campaign.write_text(f"""
engine = ["lammps"]
models = ["{FAILING}", "argon-lj"]
structures = ["{HOSTILE}.extxyz"]
trust = true
check = false
follow_up = false
[dynamics]
time_ps = 0.6
temperature_K = 60.0
timestep_fs = [4.0, 8.0]
replicas = 1
""")
    ended = command("run", campaign, "--output", folder / "o")
    assert ended.exit_code == 1, ended.output
    return folder / "o" / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--enable-unsafe-swiftshader"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield opened
    opened.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, report: Path) -> webdriver.Chrome:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.get("about:blank")
    browser.get(report.as_uri())
    WebDriverWait(browser, 60).until(lambda _: browser.execute_script("return document.readyState") == "complete")
    return browser


def drawn(page: webdriver.Chrome) -> list[Any]:
    """Every figure, once it has come into view and is there."""
    places = page.find_elements(By.CSS_SELECTOR, ".plot")
    for place in places:
        page.execute_script("arguments[0].scrollIntoView()", place)
        WebDriverWait(page, 20).until(lambda _, place=place: place.find_elements(By.CSS_SELECTOR, ".main-svg"))
    return places


@browser_is_here
def test_it_draws_without_complaint_and_asks_nobody(page: webdriver.Chrome, report: Path):
    page.get_log("performance")
    page.get_log("browser")
    page.get(report.as_uri())
    places = drawn(page)
    names = [place.get_attribute("aria-label") or "" for place in places]
    for wanted in ("Energy", "Temperature", "Energy ledger", "How far it holds"):
        assert any(name.startswith(wanted) for name in names), (wanted, names)
    assert [each for each in page.get_log("browser") if each["level"] == "SEVERE"] == []
    said = [json.loads(each["message"])["message"] for each in page.get_log("performance")]
    asked = [each["params"]["request"]["url"] for each in said if each["method"] == "Network.requestWillBeSent"]
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    assert 0 < report.stat().st_size < 8e6


@browser_is_here
def test_the_verdict_is_read_first_and_not_by_its_colour(page: webdriver.Chrome):
    said = page.find_element(By.CSS_SELECTOR, ".verdict").text
    assert said.startswith("✗ NOT RECOMMENDED\nHolds for NVE at 60 K, 4, 8 fs steps, 0.6 ps, in LAMMPS")
    assert "✓ APPROVED" in said or "CONDITIONAL" in said
    for mark in page.find_elements(By.CSS_SELECTOR, "#runs .mark"):
        assert mark.text.split(" ", 1)[1] in ("APPROVED", "NOT RECOMMENDED", "INCONCLUSIVE", "CONDITIONAL")


@browser_is_here
def test_runs_sort_and_filter(page: webdriver.Chrome):
    head = next(each for each in page.find_elements(By.CSS_SELECTOR, "#runs th") if "Drift" in each.text)
    column = page.find_elements(By.CSS_SELECTOR, "#runs th").index(head)

    def drifts() -> list[float]:
        rows = page.find_elements(By.CSS_SELECTOR, "#runs tbody tr")
        keys = [row.find_elements(By.TAG_NAME, "td")[column].get_attribute("data-key") for row in rows]
        return [float(key) for key in keys if key]

    for order, reverse in (("ascending", False), ("descending", True)):
        head.find_element(By.TAG_NAME, "button").click()
        assert head.get_attribute("aria-sort") == order
        assert drifts() == sorted(drifts(), reverse=reverse)
    assert len(drifts()) == 4
    Select(page.find_element(By.ID, "filter-verdict")).select_by_visible_text("NOT RECOMMENDED")
    page.find_element(By.ID, "filter-text").send_keys("replica 0, 8 fs")
    shown = [row for row in page.find_elements(By.CSS_SELECTOR, "#runs tbody tr") if row.is_displayed()]
    assert len(shown) >= 1
    assert all("replica 0, 8 fs" in row.text and "NOT RECOMMENDED" in row.text for row in shown)
    assert page.find_element(By.ID, "filter-count").text == f"{len(shown)} shown"


@browser_is_here
def test_a_phone_scrolls_one_way(page: webdriver.Chrome):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    page.refresh()
    drawn(page)
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390


@browser_is_here
def test_whoever_cannot_see_it_is_told_the_names(page: webdriver.Chrome):
    for each in page.find_elements(By.CSS_SELECTOR, "input, select, button, summary, a, [role=img]"):
        if each.is_displayed():
            assert each.accessible_name.strip(), each.get_attribute("outerHTML")[:200]


@browser_is_here
def test_all_of_it_is_printed(page: webdriver.Chrome):
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    assert page.execute_script("return [...document.querySelectorAll('details')].every((each) => each.open)")
    assert len(page.find_elements(By.CSS_SELECTOR, ".plot .main-svg")) >= len(page.find_elements(By.CLASS_NAME, "plot"))


def test_everything_of_the_report_is_on_the_page(report: Path):
    html, text = report.read_text(), report.with_suffix(".md").read_text()
    for heading in (line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")):
        assert heading.startswith("STATUS") or f"<h2>{heading}</h2>" in html.replace("&amp;", "&"), heading
    assert HOSTILE in text and HOSTILE not in html


@browser_is_here
def test_other_commands_write_such_a_page_too(browser: webdriver.Chrome, tmp_path: Path):
    steps = range(2000)
    rows = "".join(f"{step * 0.001},{-10.0 + 0.004 * step * 0.001 + 0.001 * math.sin(step)}\n" for step in steps)
    (tmp_path / "e.csv").write_text("time_ps,total_energy_eV\n" + rows)
    command("analyze", tmp_path / "e.csv", "--n-atoms", 2, "--output", tmp_path / "o")
    page = tmp_path / "o" / "report.html"
    browser.get_log("browser")
    browser.get(page.as_uri())
    assert "NOT RECOMMENDED" in browser.find_element(By.CSS_SELECTOR, ".verdict .word").text
    assert browser.find_elements(By.CSS_SELECTOR, "table.sortable th button")
    assert [each for each in browser.get_log("browser") if each["level"] == "SEVERE"] == []
    assert page.stat().st_size < 1e5  # nothing is drawn, so the library that draws is not there
