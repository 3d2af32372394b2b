"""The report in headless Chromium: no error, and curves can be hidden and chosen."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from reported import HOSTILE, SCENARIOS, hostile, swept

from sim import load_scenario, run
from sim.plotting.report import Subject, page
from sim.plotting.report.block_chart import block_chart
from sim.sweeps.row import Row

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

BROWSER = next((path for name in ("chromium", "google-chrome") if (path := shutil.which(name))), None)
DRIVER = shutil.which("chromedriver")

pytestmark = pytest.mark.skipif(
    BROWSER is None or DRIVER is None, reason="needs chromium and chromedriver (Debian: chromium, chromium-driver)"
)
webdriver = pytest.importorskip("selenium.webdriver")
plotly = pytest.importorskip("plotly.offline")


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.binary_location = str(BROWSER)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(DRIVER)))
    yield driver
    driver.quit()


def opened(browser: Chrome, subject: Subject, folder: Path, width: int = 1100) -> None:
    """Open a page, and hold that nothing is complained of."""
    file = folder / "r.html"
    file.write_text(page(subject, plotly.get_plotlyjs()), encoding="utf-8")
    screen = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    said(browser)  # by earlier pages
    browser.get(file.as_uri())
    until(browser, "return !document.querySelector('.plot:not(.js-plotly-plot)')")
    assert said(browser) == []


def said(browser: Any) -> list[Any]:
    """What the console has said since this was last asked."""
    return list(browser.get_log("browser"))


def until(browser: Chrome, script: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(script))


def visible(browser: Chrome) -> list[Any]:
    found: list[Any] = browser.execute_script("return document.getElementById('failure').data.map(t => t.visible)")
    return found


def shown_lines(browser: Chrome) -> int:
    script = "return [...document.querySelectorAll('tr[data-keys]')].filter(t => t.offsetHeight > 0).length"
    return int(browser.execute_script(script))


def test_a_click_in_the_legend_hides_a_curve(browser: Chrome, tmp_path: Path) -> None:
    opened(browser, Subject(swept("failure_curve", tmp_path), "0", []), tmp_path)
    lines = "document.querySelectorAll('#failure .scatterlayer .trace').length"
    before = browser.execute_script(f"return {lines}")
    browser.find_elements("css selector", "#failure .legendtoggle")[1].click()
    until(browser, f"return {lines} === {before - 1}")
    assert visible(browser)[:3] == [None, "legendonly", None]
    assert said(browser) == []


def test_a_choice_leaves_its_curve_and_its_lines(browser: Chrome, tmp_path: Path) -> None:
    rows = swept("failure_curve", tmp_path)
    opened(browser, Subject(rows, "0", []), tmp_path)
    assert shown_lines(browser) == len(rows) == 116
    browser.find_element("css selector", "select[data-axis='0'] option[value='2']").click()
    assert visible(browser) == [False, False, True, False, True]  # the last is failure = rate
    assert shown_lines(browser) == 29
    browser.find_element("css selector", "select[data-axis='0'] option[value='']").click()
    assert shown_lines(browser) == 116
    assert said(browser) == []


def test_a_curve_tells_its_numbers_where_the_pointer_is(browser: Chrome, tmp_path: Path) -> None:
    opened(browser, Subject(swept("failure_curve", tmp_path), "0", []), tmp_path)
    browser.execute_script("Plotly.Fx.hover(document.getElementById('failure'), [{curveNumber: 1, pointNumber: 16}])")
    until(browser, "return document.querySelector('#failure .hovertext')")
    text = browser.execute_script("return document.querySelector('#failure .hovertext').textContent")
    assert "failure 9.734e-05, one block in 10,273" in text


def test_hostile_names_do_nothing(browser: Chrome, tmp_path: Path) -> None:
    rows = hostile(swept("hardware_mix", tmp_path))
    opened(browser, Subject(rows, HOSTILE, [HOSTILE], notes=[HOSTILE]), tmp_path)  # an alert would be an exception
    assert browser.execute_script("return document.querySelectorAll('img, svg a, [onerror]').length") == 0
    assert "<script>alert(1)" in browser.execute_script("return document.querySelector('#failure .legend').textContent")
    assert browser.title.startswith("</script>")


@pytest.mark.parametrize("width", [360, 390, 1100])
def test_a_page_is_no_wider_than_the_screen(width: int, browser: Chrome, tmp_path: Path) -> None:
    scenario = load_scenario(SCENARIOS / "healed_partition.yaml")
    result = run(scenario)
    chart = block_chart(Row(0, {}, scenario, result))
    for subject in (
        Subject(swept("failure_curve", tmp_path), "0", []),
        Subject([Row(0, {}, scenario, result)], "0", [], chart=chart),
    ):
        opened(browser, subject, tmp_path, width)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_numbers_are_there_without_javascript(browser: Chrome, tmp_path: Path) -> None:
    rows = swept("failure_curve", tmp_path)
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        file = tmp_path / "r.html"
        file.write_text(page(Subject(rows, "0", []), plotly.get_plotlyjs()), encoding="utf-8")
        browser.get(file.as_uri())
        text = browser.find_element("css selector", "body").text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    assert "Figures need JavaScript" in text
    assert text.count("\n13 ") == 29
    assert "9.7339e-05 exact 10,273" in text


def test_printing_fits_the_paper(browser: Chrome, tmp_path: Path) -> None:
    opened(browser, Subject(swept("failure_curve", tmp_path), "0", []), tmp_path)
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    until(browser, "return document.querySelector('#failure .main-svg').getBoundingClientRect().width <= 680")
    browser.execute_script("window.dispatchEvent(new Event('afterprint'))")
    until(browser, "return document.querySelector('#failure .main-svg').getBoundingClientRect().width > 800")
