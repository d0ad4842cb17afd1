"""The image that a build made, from the files that CodePipeline's own actions read. Pure.

`imagedefinitions.json` is a list of `{"name": container, "imageUri": image}`, and
`imageDetail.json`, which a source action for ECR writes, an object with `ImageURI`:
https://docs.aws.amazon.com/codepipeline/latest/userguide/file-reference.html
"""

import json

from greenlane.errors import InvalidInput
from greenlane.problems import excerpt, suggest

_SHAPE = 'write [{"name": "CONTAINER", "imageUri": "IMAGE:TAG"}]'


def image_of(text: str, file: str, container: str | None) -> tuple[str, str | None]:
    """The image and the container that it is for; None when the file does not say.

    Args:
        text: the file.
        file: its name.
        container: which of several is meant.

    Raises:
        InvalidInput: the file has another shape, or nobody can say which image is meant.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidInput(file, excerpt(text), f"it is no JSON; {_SHAPE}") from None
    if isinstance(found, dict) and isinstance(found.get("ImageURI"), str):
        return found["ImageURI"], container
    if not isinstance(found, list) or not found:
        raise InvalidInput(file, excerpt(found), f"it names no image; {_SHAPE}")
    images: dict[str, str] = {}
    for index, one in enumerate(found):
        name = one.get("name") if isinstance(one, dict) else None
        image = one.get("imageUri") if isinstance(one, dict) else None
        if not isinstance(name, str) or not isinstance(image, str):
            raise InvalidInput(f"{file}.{index}", excerpt(one), _SHAPE)
        images[name] = image
    if container is None and len(images) == 1:
        (container,) = images
    if container is None:
        raise InvalidInput(
            "container", None, f"{file} names {', '.join(images)}; say which one is deployed"
        )
    if container not in images:
        near = suggest(container, list(images))
        raise InvalidInput("container", container, f"{file} names {', '.join(images)}{near}")
    return images[container], container
