"""The search by part of a name, as fast beside ten million leads as beside ten thousand.

Replaces leads_search(), which the code before still calls.
"""

from django.db import migrations

from saas.rls import SETTING, OpsFunction

# How to look depends on the word. One that many leads have is found by walking the newest of them;
# the index of trigrams would first gather every lead that has it. A rare one is found by that
# index, asked only for the rarest letters in it: the lists of the others name every lead. Which
# it is, leads from all over the brand tell.
#
# Beyond `cap` hits the newest are likely, not certain, to be among them. Words without three
# letters or digits in a row have no trigram: they are looked for among the newest leads alone.
FIND = rf"""
CREATE FUNCTION leads_find(words text, cap integer)
RETURNS TABLE (id bigint) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_indexscan = on SET max_parallel_workers_per_gather = 0
AS $body$
DECLARE
  here constant bigint := {SETTING};
  near constant integer := 20000;   -- leads that are walked in any case: 10 ms
  far constant integer := 200000;   -- that are walked for a word of many leads: 100 ms
  walk constant text := 'SELECT array_agg(f.id) FROM (SELECT w.id FROM ('
    'SELECT l.id, l.search FROM leads_lead l WHERE l.brand_id = $1'
    ' ORDER BY l.last_activity_at DESC, l.id DESC LIMIT $4) w'
    ' WHERE position($2 in w.search) > 0 LIMIT $3) f';
  first bigint; last bigint; sample text[]; parts text[]; found bigint[]; more boolean;
BEGIN
  EXECUTE walk INTO found USING here, words, cap, near;
  EXECUTE 'SELECT EXISTS (SELECT FROM leads_lead l WHERE l.brand_id = $1'
    ' ORDER BY l.last_activity_at DESC, l.id DESC OFFSET $2)' INTO more USING here, near;
  IF NOT more OR cardinality(found) >= cap THEN
    RETURN QUERY SELECT unnest(found);
    RETURN;
  END IF;
  EXECUTE 'SELECT min(l.id), max(l.id) FROM leads_lead l WHERE l.brand_id = $1'
    INTO first, last USING here;
  -- Twenty places of the brand, 25 leads at each.
  EXECUTE 'SELECT array_agg(s.search) FROM generate_series(0, 19) n, LATERAL ('
    'SELECT l.search FROM leads_lead l WHERE l.brand_id = $1'
    ' AND l.id >= $2 + ($3 - $2) * n / 20 ORDER BY l.id LIMIT 25) s'
    INTO sample USING here, first, last;
  -- The rarest three letters that make a trigram, with one on each side; and the next beyond them.
  WITH piece AS (
    SELECT n, (SELECT count(*) FROM unnest(sample) s WHERE position(letters in s) > 0) AS seen
    FROM generate_series(1, least(length(words) - 2, 40)) n, substr(words, n, 3) letters
    WHERE letters ~ '^([[:alnum:]]{{3}}|[^[:alnum:]][[:alnum:]]{{2}}|[[:alnum:]]{{2}}[^[:alnum:]])$'
  ), rarest AS (SELECT n FROM piece ORDER BY seen, n LIMIT 1),
  next AS (SELECT p.n FROM piece p, rarest r WHERE abs(p.n - r.n) > 3 ORDER BY p.seen, p.n LIMIT 1)
  SELECT array_agg('%' || regexp_replace(
    substr(words, greatest(n - 1, 1), 5), '([\\%_])', '\\\1', 'g') || '%') INTO parts
  FROM (SELECT n FROM rarest UNION ALL SELECT n FROM next) p;
  IF parts IS NULL OR (SELECT count(*) >= 25 FROM unnest(sample) s WHERE position(words in s) > 0)
  THEN
    EXECUTE walk INTO found USING here, words, cap, far;
  END IF;
  IF parts IS NULL OR cardinality(found) >= cap THEN
    RETURN QUERY SELECT unnest(found);
    RETURN;
  END IF;
  PERFORM set_config('enable_indexscan', 'off', true);
  RETURN QUERY EXECUTE 'SELECT l.id FROM leads_lead l WHERE l.brand_id = $1'
    ' AND l.search LIKE $4 AND l.search LIKE $5 AND position($2 in l.search) > 0 LIMIT $3'
    USING here, words, cap, parts[1], parts[cardinality(parts)];
END $body$
"""


class Migration(migrations.Migration):
    dependencies = [("leads", "0013_pairs")]

    operations = [OpsFunction("leads_find(text, integer)", FIND)]
