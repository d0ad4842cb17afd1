-- Fills what was added, and checks it.

-- It runs in slices, and may run again.
UPDATE public.people SET full_name = name WHERE full_name IS DISTINCT FROM name;

ALTER TABLE public.people VALIDATE CONSTRAINT people_full_name_filled;
