-- What the new schema adds.

ALTER TABLE public.people ADD COLUMN full_name text;

-- If a write changes both, the new column wins.
CREATE FUNCTION public.people_full_name_sync() RETURNS trigger LANGUAGE plpgsql AS $sync$
BEGIN
  IF TG_OP = 'INSERT' THEN
    IF new.full_name IS NOT NULL THEN
      new.name := new.full_name;
    ELSE
      new.full_name := new.name;
    END IF;
  ELSIF new.full_name IS DISTINCT FROM old.full_name THEN
    -- Filling rows must not change what it fills from.
    IF new.full_name IS DISTINCT FROM new.name THEN
      new.name := new.full_name;
    END IF;
  ELSIF new.name IS DISTINCT FROM old.name OR (new.full_name IS NULL) THEN
    new.full_name := new.name;
  END IF;
  RETURN new;
END
$sync$;

CREATE TRIGGER zz_people_full_name_sync BEFORE INSERT OR UPDATE ON public.people
  FOR EACH ROW EXECUTE FUNCTION public.people_full_name_sync();

ALTER TABLE public.people ADD CONSTRAINT people_full_name_filled CHECK (full_name IS NOT NULL) NOT VALID;
