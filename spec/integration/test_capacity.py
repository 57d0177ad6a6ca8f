"""The statement of docs/operate/capacity.md, which an operator and `tools/bench capacity` run."""
import re

from stack import ROOT


def test_the_documented_statement_lists_each_table_with_its_bytes(fed):
    page = (ROOT / "docs/operate/capacity.md").read_text()
    statement = re.search(r"^```sql\n(.*?)^```", page, re.DOTALL | re.MULTILINE)[1]
    fed.query("ANALYZE")
    found = {table: (rows, row_bytes, index_bytes)
             for table, rows, row_bytes, index_bytes in fed.query(statement)}
    assert found["essay_results"][0] == fed.query("SELECT count(*) FROM essay_results")[0][0]
    assert found["essay_results"][1] > 100 and found["essay_results"][2] > 10
    assert "aggregator_state.outbox" in found
