-- What the new schema does not have goes.

-- Without the trigger nobody fills the old column: it must not refuse rows.
ALTER TABLE public.people ALTER COLUMN name DROP NOT NULL;

ALTER TABLE public.people ALTER COLUMN full_name SET NOT NULL;

ALTER TABLE public.people DROP CONSTRAINT people_full_name_filled;

DROP TRIGGER zz_people_full_name_sync ON public.people;

DROP FUNCTION public.people_full_name_sync();

ALTER TABLE public.people DROP COLUMN name;
